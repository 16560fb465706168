import type { Reason, Status } from "../core/certificate.ts";

/**
 * Every key that Certherd writes to Redis. The braces are a hash tag: in a cluster all keys share one slot, as
 * the scripts touch several of them at once. BullMQ's own keys begin with the same prefix, then its queue's name.
 */
export const PREFIX = "{certherd}";

const key = (...parts: string[]): string => [PREFIX, ...parts].join(":");

export const keys = {
  /** What the keys of one kind begin with. */
  family: (kind: "bucket" | "holds" | "room") => key(kind, ""),
  /** Hash: one certificate's record. */
  certificate: (id: string) => key("cert", id),
  /** Sorted set, all scores 0: every certificate's id, in alphabetical order. */
  certificates: key("certs"),
  /** Sorted set, all scores 0: the ids in one status. */
  status: (status: Status) => key("status", status),
  /** Sorted set, all scores 0: the ids of those that wait for this. */
  waiting: (reason: Reason) => key("waiting", reason),
  /** Hash: id → what else a certificate is found by than its first name: its other names, and how people write them. */
  otherNames: key("othernames"),
  /** String: which of these indexes this Redis has; those of an earlier version are brought up to it. */
  indexVersion: key("indexversion"),
  /** Sorted set: ids of the certificates with a leaf, by the next look at their renewal. */
  renewals: key("renewals"),
  /** Sorted set: the same, by the moment of their renewal. */
  renewTimes: key("renewtimes"),
  /** Sorted set: ids of the certificates with a leaf, by its end. */
  expiries: key("expiries"),
  /** List: one certificate's events, newest first, capped. Of "all": the stream of them all, capped too. */
  events: (id: string) => key("events", id),
  /** Stream: who has asked for what, capped. */
  audit: key("audit"),
  /** Hash: one import's counts and state. */
  import: (importId: string) => key("import", importId),
  /** Sorted set: all imports by time. */
  imports: key("imports"),
  /** Sorted set: imports whose file is being read, by the last sign of life. */
  importsReading: key("imports", "reading"),
  /** Set: ids of the certificates in an import's file. */
  importCertificates: (importId: string) => key("import", importId, "certs"),
  /** Set: those of them that are not settled yet. The import ends when it is empty. */
  importOpen: (importId: string) => key("import", importId, "open"),
  /** Hash: id → "line|names" while the file is read, to find what stands in it twice. */
  importSeen: (importId: string) => key("import", importId, "seen"),
  /** Set: mail groups of an import. */
  importGroups: (importId: string) => key("import", importId, "groups"),
  /** Set: the ids that one mail is to tell about. `box` is an import's id, "now" or "later". */
  mailBox: (box: string, group: string) => key("mail", box, group),
  /** String: the route of a mail group (sender, recipient, relay, port) as JSON. */
  mailGroup: (group: string) => key("mailgroup", group),
  /** String: what the mail of a box that bears a notice says; expires. */
  notice: (box: string) => key("notice", box),
  /** String: the key authorization that answers one http-01 token. */
  challenge: (token: string) => key("challenge", token),
  /** Sorted set: the TXT records set for dns-01 and not removed yet, by when they are to be. */
  dnsRecords: key("dnsrecords"),
  /** Hash: such a record → how often it could not be removed. */
  dnsFailures: key("dnsrecords", "failures"),
  /** String: when a probe of the preflight last came back; expires. */
  probePassed: key("preflight", "passed"),
  /** Set: the ports that responders have to listen on. */
  acmePorts: key("acmeports"),
  /** Hash: port → "ok" or why not, of one responder; expires with its heartbeat. */
  responder: (node: string) => key("responder", node),
  /** Sorted set: responders by their last heartbeat. */
  responders: key("responders"),
  /** Sorted set: "role:node:pid" by the last heartbeat. */
  alive: key("alive"),
  /** String: the moment until which an account is stopped, and why. */
  accountStop: (account: string) => key("stop", account),
  /** String: GCRA state of one bucket, its theoretical arrival time. */
  bucket: (limit: string, account: string, subject: string) => key("bucket", limit, account, subject),
  /** Sorted set: who holds a token of that bucket for an order in flight, by the moment at which that lapses. */
  holds: (limit: string, account: string, subject: string) => key("holds", limit, account, subject),
  /** Hash: "limit:account:subject" → emission, of the buckets in which one order holds a token. */
  holding: (account: string, holder: string) => key("holding", account, holder),
  /** Sorted set: who waits for that bucket, by priority and arrival. */
  room: (limit: string, account: string, subject: string) => key("room", limit, account, subject),
  /** Sorted set: "limit:account:subject" of an account's waiting rooms, by the moment of the next look. */
  rooms: (account: string) => key("rooms", account),
  /** String: counts the arrivals in waiting rooms. */
  roomArrivals: key("roomarrivals"),
  /** Hash: name → why and where a person may end it, of the names that the CA has paused for an account. */
  pausedNames: (account: string) => key("pausednames", account),
  /** Hash: the circuit breaker of an account: what failed, how often in a row, until when it is open. */
  breaker: (account: string) => key("breaker", account),
  /** Hash: how often in a row, and since when, the validation of a name has failed. */
  failing: (account: string, name: string) => key("failing", account, name),
  /** Sorted set: validations asked for or failed, by time, of one account and name. */
  validations: (account: string, name: string) => key("validations", account, name),
  /** Hash: serial of a leaf → the certificate whose newest it is. */
  serials: key("serials"),
  /** String: who may do now what is done by one at a time. */
  turn: (what: string) => key("turn", what),
  /** Sorted set: who asks for that turn, by the first time or the last time. */
  turnAsked: (what: string, order: "since" | "last") => key("turn", what, order),
  /** Sorted set: nodes by the last sign of life of a process that deploys to them. */
  nodesServed: key("nodes", "served"),
  /** Hash: "port/node" → since when, and why, nothing can be deployed to it. */
  nodeFaults: key("nodes", "faults"),
  /** Hash: node → when it was last reloaded, milliseconds since the epoch. */
  nodeReloads: key("nodes", "reloads"),
  /** Hash: "port/node" → the certificate that was looked at last. */
  watch: key("nodes", "watch"),
  /** Hash: since when a CA wants certificates replaced at once, and whether a person was told. */
  incident: (ca: string) => key("incident", ca),
  /** Set: those certificates. */
  incidentCertificates: (ca: string) => key("incident", ca, "certs"),
  /** String: a person was told of that not long ago; expires. Of new terms of a CA: once. */
  told: (what: string) => key("told", what),
  /** String: there while what the files hold has been put into this Redis. */
  restored: key("restored"),
  /** The same for the files of one host, where several have a store in common. */
  restoredBy: (node: string) => key("restored", node),
  /** String: lock of the process that restores. */
  restoring: key("restoring"),
  /** String, encrypted: one entry of the store that several hosts have in common. */
  vault: (name: string) => key("vault", name),
  /** String, encrypted: what tells whether a host has the key that the store was written with. */
  vaultCheck: key("vaultcheck"),
  /** Sorted set: ids of the certificates that were archived, by when, for the files of the other hosts. */
  archived: key("archived"),
  /** String: the last event of the stream that was looked at for webhooks. */
  webhookCursor: key("webhooks", "cursor"),
  /** Sorted set: webhooks that have a queue, by when a process last had them in its configuration. */
  webhookQueues: key("webhooks", "queues"),
  /** Hash: how many leaves were obtained in each five minutes, by their number since the epoch; a day of them. */
  obtained: key("obtained"),
  /** Hash: "status:bucket", "status:count" and "status:sum" (milliseconds) of the time spent in each. */
  stageTimes: key("stagetimes"),
  /** Hash: counters of what failed, for the metrics. */
  counters: key("counters"),
  /** Hash: "what|label|…" → how often, of orders, validations, failures and requests, for the metrics. */
  tally: key("tally"),
  /** String: whose a browser's session is (its id as a digest), as JSON; expires. */
  session: (digest: string) => key("session", digest),
  /** String: what was answered to one Idempotency-Key (as a digest) of one API token; expires. */
  idempotency: (token: string, digest: string) => key("idempotency", token, digest),
} as const;
