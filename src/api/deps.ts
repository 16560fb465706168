import type { ImportDeps } from "../intake/import.ts";
import type { CaLimits } from "../limits/table.ts";
import type { Producer } from "../queue/producer.ts";
import type { Alive } from "../store/alive.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { NotifyMode } from "../store/imports.ts";
import type { Redis } from "../store/redis.ts";
import type { TokenBook } from "./tokens.ts";

/** All that the API works with; whoever starts it owns these, and closes them. */
export interface ApiDeps {
  redis: Redis;
  certificates: CertificateStore;
  producer: Producer;
  alive: Alive;
  intake: ImportDeps;
  tokens: TokenBook;
  /** The accounts whose queues there are. */
  accounts: readonly string[];
  /** The limits of each of them. */
  caLimits: ReadonlyMap<string, CaLimits>;
  /** The names of the webhooks, each of which has a queue. */
  webhooks: readonly string[];
  /** The nodes that certificates are deployed to. */
  nodes: readonly string[];
  /** A folder for what is gone with the request. */
  home: string;
  maxImportBytes: number;
  /** For imports that say nothing about it. */
  notify: NotifyMode;
  log: (line: string) => void;
}
