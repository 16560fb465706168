import type { Terminations } from "../config/terminations.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import type { Producer } from "../queue/producer.ts";
import type { Nodes } from "../store/nodes.ts";
import type { SettlementDeps } from "../store/settlement.ts";
import type { Turns } from "../store/turns.ts";

export interface DeployDeps extends SettlementDeps {
  producer: Producer;
  nodes: Nodes;
  turns: Turns;
  terminations: Terminations;
  /** This process among all others. */
  processName: string;
  /** Delays after a failure that may pass, milliseconds. */
  retry: readonly number[];
  /** A line for the log that a person greps. */
  tell: (line: string) => void;
  /** A line for whoever watches this process. */
  log: (line: string) => void;
  /** Something that the operator has to know of at once, once. */
  warn(record: CertificateRecord, subject: string, detail: string): Promise<void>;
}
