/** What was looked at. */
export const PARTS = ["files", "index", "sets", "queue", "nodes", "imports"] as const;
export type Part = (typeof PARTS)[number];

/**
 * - mended: it is as it should be now (in a dry run: it would be)
 * - person: somebody has to look at it; `says` tells what to do
 * - note:   nobody has to do anything
 */
export type Outcome = "mended" | "person" | "note";

export interface Kind {
  part: Part;
  outcome: Outcome;
  says: string;
}

const kind = (part: Part, outcome: Outcome, says: string): Kind => ({ part, outcome, says });

/** All that can be found; what scripts compare. */
export const KINDS = {
  restored: kind("files", "mended", "on disk, and not in the index: put back"),
  newer_on_disk: kind("files", "mended", "a newer leaf on disk than in the index: taken over"),
  unfinished_set: kind("files", "mended", "a new set that was not moved into place to its end: finished"),
  leftover: kind("files", "mended", "left by a process that died: removed"),
  order_left: kind("files", "mended", "what is left of an order that nobody goes on with: removed"),
  open_key: kind("files", "mended", "a private key that others could read: closed (0600)"),
  description_rewritten: kind("files", "mended", "certificate.json was damaged or gone: written again"),
  chain_rewritten: kind("files", "mended", "a file of the chain was gone: made from the others"),
  set_from_store: kind("files", "mended", "files were gone or damaged: written again from the store"),
  left_after_removal: kind("files", "mended", "was removed, and its files were left: to the archive"),
  damaged_description: kind(
    "files",
    "person",
    "certificate.json is damaged or gone, and the index does not know the certificate: put the folder back from a backup, or move it away and import the name again",
  ),
  misnamed_folder: kind(
    "files",
    "person",
    "the folder's name is not that of its certificate: rename it as the detail says, and reconcile again",
  ),
  key_missing: kind("files", "person", "its private key is gone: certherd renew NAME"),
  key_unfit: kind("files", "person", "its private key is of another certificate: certherd renew NAME"),
  leaf_missing: kind("files", "person", "its .cer is gone: certherd renew NAME"),
  leaf_damaged: kind("files", "person", "its .cer is no certificate: certherd renew NAME"),
  other_leaf: kind(
    "files",
    "person",
    "its .cer is not the one that certificate.json tells of: put the right one back, or certherd renew NAME",
  ),
  older_on_disk: kind(
    "files",
    "person",
    "the files are older than the index: put the newer ones back, or certherd renew NAME",
  ),
  unreadable: kind("files", "person", "cannot be read: mend owner and modes"),
  foreign_file: kind("files", "note", "not Certherd's: left alone"),
  record_damaged: kind("index", "mended", "its record was damaged: put back from its files"),
  record_lost: kind(
    "index",
    "person",
    "its record was damaged, and no files tell of it: taken out; import it again if it is still wanted",
  ),
  files_gone: kind("index", "person", "it has a certificate, and its files are gone: certherd renew NAME"),
  not_listed: kind("sets", "mended", "a record that the list of all did not have: added"),
  wrong_status: kind("sets", "mended", "not listed under its status: listed"),
  no_expiry: kind("sets", "mended", "a leaf whose end was not in its set: added"),
  no_renewal: kind("sets", "mended", "a leaf without a time of its renewal: added"),
  names_missing: kind("sets", "mended", "names that it could not be found by: it can"),
  wrong_serial: kind("sets", "mended", "a serial that did not lead to its certificate: added"),
  stray_entry: kind("sets", "mended", "an entry without its certificate: removed"),
  import_stuck: kind("sets", "mended", "an import waited for what has settled: it waits no more"),
  port_unused: kind("sets", "note", "a port is listened on, and no certificate asks for it"),
  job_missing: kind("queue", "mended", "on its way without a job: queued"),
  job_leaked: kind("queue", "mended", "a job that no queue would have taken up: removed"),
  job_phantom: kind("queue", "mended", "a place in a queue without its job: removed"),
  job_orphan: kind(
    "queue",
    "mended",
    "a job of a certificate that is not there any more, or was overtaken: removed",
  ),
  removal_stuck: kind("queue", "mended", "a removal that stood still: goes on"),
  hold_freed: kind(
    "queue",
    "mended",
    "a token held for an order that is no more: free, unless the CA may have counted it",
  ),
  room_freed: kind("queue", "mended", "a place in a waiting room for an order that is no more: free"),
  admission_opened: kind("queue", "mended", "admission was not one at a time: it is"),
  account_gone: kind(
    "queue",
    "person",
    "its CA is configured no more: put the CA back, or import the name again with another one",
  ),
  queue_gone: kind(
    "queue",
    "person",
    "jobs for a CA or node that is configured no more: put it back, or remove or import again what waits there",
  ),
  deployment_missing: kind(
    "nodes",
    "mended",
    "behind on a node, and nothing under way: given to the roll-out",
  ),
  node_gone: kind("nodes", "note", "a node that is configured no more had certificates"),
  foreign_on_node: kind(
    "nodes",
    "person",
    "on a node, and of no certificate of the index: take it away there, or have it certherd's by an import",
  ),
  node_unreadable: kind("nodes", "person", "what is on a node cannot be seen: certherd doctor"),
  import_unanswered: kind("imports", "mended", "accepted, and never taken up: queued"),
  import_abandoned: kind("imports", "mended", "an import whose reader died: taken up"),
} as const satisfies Record<string, Kind>;

export type What = keyof typeof KINDS;

export interface Example {
  /** A certificate's first name, a path, a queue or a node. */
  name: string;
  detail?: string;
}

export interface Found extends Kind {
  what: What;
  count: number;
  /** The first ones. */
  examples: Example[];
}

/** Kept of each kind: what a person can go through. */
const MOST_EXAMPLES = 1_000;

/** Gathers what is found, and how much was looked at. */
export class Report {
  readonly dryRun: boolean;
  readonly #found = new Map<What, Found>();
  readonly #looked = new Map<string, number>();
  readonly #onStep: (report: Report) => void;

  constructor(dryRun: boolean, onStep: (report: Report) => void = () => undefined) {
    this.dryRun = dryRun;
    this.#onStep = onStep;
  }

  add(what: What, name: string, detail?: string): void {
    const found = this.#found.get(what) ?? { what, ...KINDS[what], count: 0, examples: [] };
    this.#found.set(what, found);
    found.count++;
    if (found.examples.length < MOST_EXAMPLES)
      found.examples.push({ name, ...(detail === undefined ? {} : { detail }) });
  }

  looked(at: string, count: number): void {
    this.#looked.set(at, (this.#looked.get(at) ?? 0) + count);
    this.#onStep(this);
  }

  get lookedAt(): Record<string, number> {
    return Object.fromEntries(this.#looked);
  }

  /** In the order of `KINDS`. */
  get found(): Found[] {
    return (Object.keys(KINDS) as What[]).flatMap((what) => this.#found.get(what) ?? []);
  }

  count(outcome: Outcome): number {
    return this.found.filter((found) => found.outcome === outcome).reduce((sum, { count }) => sum + count, 0);
  }
}
