import type { ChallengeType } from "../core/certificate.ts";
import { AppError } from "../core/errors.ts";

export type ClientKind = "acme.sh" | "certbot";

/** What the other client does when it has renewed, and Certherd will not do: a person has to move it. */
export interface AfterRenewal {
  /** `what` is the client's own word for it, as Le_ReloadCmd. */
  commands: { what: string; command: string }[];
  /** Where the client puts copies of the files. */
  copies: { what: string; path: string }[];
}

/** One certificate as another client has it; nothing of it has been looked into yet. */
export interface Found {
  /** Its folder or lineage there. */
  entry: string;
  /** What the client calls it by, mostly the first of its names. */
  name: string;
  leafPem: string;
  issuersPem: string;
  keyPem: string;
  /** The ACME directory that it is from, where that is told. */
  directory?: string;
  orderUrl?: string;
  challenge: ChallengeType;
  /** The client's word for how the names were validated, as `dns_cf` or `standalone`. */
  validatedBy?: string;
  /** When it was obtained, milliseconds since the epoch. */
  issuedAt?: number;
  /** Whether it seems to be the first one for its names: only that one has taken all tokens of the CA's limits. */
  first: boolean;
  profile?: string;
  /** The client's own name of the account that it was ordered with. */
  account?: string;
  afterRenewal: AfterRenewal;
}

/** An account at a CA, as another client has it. */
export interface FoundAccount {
  entry: string;
  /** PKCS #8 PEM. */
  keyPem: string;
  /** Missing where it is not known, or not known to be of this key. */
  url?: string;
  contact: string[];
}

/** The folder of another ACME client; only ever read. */
export interface ForeignHome {
  kind: ClientKind;
  path: string;
  /** Names of what may be certificates, in alphabetical order. */
  entries(): Promise<string[]>;
  /** What an entry is called, where it cannot be read. */
  nameOf(entry: string): string;
  /** "given up": the client was told not to renew it. Undefined where that entry is no certificate; what is one and cannot be read is thrown. */
  read(entry: string): Promise<Found | "given up" | undefined>;
  /** The account at the CA with that directory. `preferred`: the client's own name of it, where there are several. */
  account(directory: string, preferred: string | undefined): Promise<FoundAccount | undefined>;
  /** What makes the client go on renewing, a line each, to be taken out by a person. */
  takeOut(): string[];
}

/** One certificate, or account, that cannot be taken over: a sentence that says why and how to mend it. */
export function refuse(code: string, sentence: string, cause?: unknown): AppError {
  return new AppError(sentence, { code, disposition: "attention", cause });
}
