import type { CertificateRecord } from "../core/certificate.ts";
import type { AccountFiles } from "../store/accounts.ts";
import type { CertificateFile } from "../store/files.ts";
import type { AccountCa, KeyLook } from "./accounts.ts";
import type { ForeignHome } from "./found.ts";
import type { PutDeps } from "./put.ts";
import type { SpecTemplate } from "./record.ts";
import type { RenewedBy } from "./warnings.ts";

/** What is here already; a look at it changes nothing. */
export interface Present {
  records(ids: readonly string[]): Promise<(CertificateRecord | undefined)[]>;
  file(id: string): Promise<CertificateFile | undefined>;
  accountKey: KeyLook;
}

export interface AdoptDeps {
  home: ForeignHome;
  present: Present;
  /** Those of the configuration, the first one being preferred. */
  cas: readonly [AccountCa, ...AccountCa[]];
  /** Those of the configuration. */
  dnsProviders: RenewedBy["dnsProviders"];
  now(): number;
  /** Left out in a dry run: then nothing is written. */
  write?: PutDeps & { accounts: AccountFiles };
}

export interface AdoptRequest {
  template: SpecTemplate;
  /** First names, or folders there; all where left out. */
  only?: readonly string[];
  /** A newer leaf replaces an older one of ours. */
  force: boolean;
  /** `done` of `total` have been looked into, or written. */
  onProgress?(step: "read" | "write", done: number, total: number, refused: number): void;
}
