/** Every queue's name and every job's id. BullMQ allows no ":" in either, and no bare number as an id. */
export const queueNames = {
  /** Looks whether the names lead here, before anything is asked of the CA. */
  check: (account: string) => `check-${account}`,
  /** Decides when a certificate of this account may be ordered; one job at a time over all processes. */
  admit: (account: string) => `admit-${account}`,
  /** The same for renewals, which take no token of the account and so never stand behind new orders. */
  renew: (account: string) => `renew-${account}`,
  /** Orders, validates, finalizes and saves; never rate-limited. */
  order: (account: string) => `order-${account}`,
  /** Brings certificates to one node; consumed by the process that can reach it. */
  deploy: (node: string) => `deploy-${node}`,
  notify: "notify",
  /** What one webhook is told, so that one that does not answer holds up no other. */
  webhook: (name: string) => `webhook-${name}`,
} as const;

export const jobIds = {
  /** With the generation, as the next one may be asked for while this one is being worked on. */
  check: (id: string, generation: number) => `c-${id}-${generation}`,
  admit: (id: string, generation: number) => `a-${id}-${generation}`,
  renew: (id: string, generation: number) => `r-${id}-${generation}`,
  /** Without it: a certificate never has two orders in flight. */
  order: (id: string) => `o-${id}`,
  /** With the serial, as the next leaf may come while this one is being brought to the node; the port may change, too. */
  deploy: (id: string, serial: string, vipPort: number) => `d-${id}-${serial}-${vipPort}`,
  withdraw: (id: string, generation: number, vipPort: number) => `x-${id}-${generation}-${vipPort}`,
  /** Of the event's id: what is added again is the same delivery. */
  webhook: (eventId: string) => `w-${eventId}`,
  mail: (box: string, group: string) => `m-${box}-${group}`,
} as const;

/** The queues of one account, in the order of a certificate's way. */
export function queuesOf(account: string): string[] {
  return [queueNames.check, queueNames.admit, queueNames.renew, queueNames.order].map((name) =>
    name(account),
  );
}

/**
 * A certificate's priority as a job's, with a place before each for those of it that were woken from a waiting room:
 * they have stood in line before.
 */
export const jobPriority = {
  inLine: (priority: number) => 2 * priority,
  woken: (priority: number) => 2 * priority - 1,
} as const;

/** The other way round. */
export function certificatePriority(ofJob: number): number {
  return Math.max(1, Math.ceil(ofJob / 2));
}

/** Jobs hold ids, never a key or a PEM: what is in Redis is there in the clear. */
export interface CertificateJob {
  id: string;
  generation: number;
  /** It renews a certificate for the same names. */
  renewal?: boolean;
  /** The CA would not have it said which certificate the order replaces. */
  plain?: boolean;
}

/** A check's checkpoint: how often the names did not lead here, and since when (milliseconds since the epoch). */
export interface CheckJob extends CertificateJob {
  checks?: number;
  since?: number;
}

/** An order job's checkpoint, saved before the step that relies on it. The order's URL is in the record. */
export interface OrderJob extends CertificateJob {
  /** The challenges have been answered: from now on the order is polled, not its authorizations. */
  answered?: boolean;
  /** When that was, milliseconds since the epoch. */
  answeredAt?: number;
  /** dns-01: what was set, and since when all of it is (milliseconds since the epoch); not answered before it is seen. */
  dns?: { since?: number; records: { provider: string; name: string; value: string; zone: string }[] };
  /** How often the order has been polled in the present stage. */
  polls?: number;
  /** Tries in a row that failed for nobody's fault. */
  transient?: number;
  /** Key and CSR have been replaced once, as the CA did not like them. */
  rekeyed?: boolean;
}

/** Brings a leaf to one node, or takes the certificate away from it. */
export interface DeployJob {
  id: string;
  /** The generation that asked for it. */
  generation: number;
  /** The termination, as a node may stand in several. */
  vipPort: number;
  /** The leaf to be served; none when it is to be taken away. */
  serial?: string;
  /** How often the target has refused it, where that may pass. */
  tries?: number;
}

/** One mail to one sender, recipient and relay, about the certificates in that box. */
export interface MailJob {
  box: string;
  group: string;
  /** How often the relay has failed to take it. */
  tries?: number;
  /** For "now": how many certificates were in the box at the last look, and when the first one was. */
  seen?: { count: number; since: number };
}

/** One event to one webhook. */
export interface WebhookJob {
  /** Of the event; the receiver knows a repetition by it. */
  event: string;
  /** The body as it is sent, each time the same. */
  body: string;
  /** When it was first to be sent, milliseconds since the epoch. */
  since: number;
  /** How often the receiver has not taken it. */
  tries?: number;
}
