import type { Exemption } from "./buckets.ts";
import type { OrderLimit } from "./table.ts";

/** Whether something may be done now; else how long to wait, in milliseconds, and for which name. */
export type Verdict = { ok: true } | { ok: false; wait: number; name: string };

/** What admission may do with a certificate. Waits in milliseconds. */
export type Admission =
  /** Its tokens are held. `waiting`: the index still shows it as waiting. */
  | { kind: "ok"; waiting: boolean }
  /** Overtaken by a newer generation, paused or removed. */
  | { kind: "drop" }
  /** The generation before it has not handed over yet. */
  | { kind: "early" }
  /** The whole account is stopped. */
  | { kind: "stopped" }
  /** The CA has paused this name for the account, until a person acts. */
  | { kind: "paused"; name: string }
  /** A name of it has failed as often as it may. */
  | { kind: "name"; wait: number; name: string }
  /** It stands in the waiting room of a domain or a set of names, behind `ahead` others. */
  | { kind: "room"; wait: number; limit: OrderLimit; subject: string; ahead: number }
  /** The account may make no more orders now. */
  | { kind: "orders"; wait: number }
  /** The circuit breaker is open: nothing of the account is tried, but for one now and then. */
  | { kind: "broken"; wait: number };

export interface AdmissionRequest {
  /** The certificate's. */
  id: string;
  generation: number;
  names: readonly string[];
  priority: number;
  /** Who holds the tokens: the same for every try of one order. */
  holder: string;
  exemption: Exemption;
}

/** How often in a row the validation of a name has failed, and since when (milliseconds since the epoch). */
export interface Streak {
  name: string;
  count: number;
  since: number;
}

/** Why the CA has paused a name, and where a person may end that. */
export interface Pause {
  detail: string;
  url?: string;
}
