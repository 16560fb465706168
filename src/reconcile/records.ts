import {
  accountOf,
  type CertificateRecord,
  firstNameOf,
  isIssued,
  type Status,
} from "../core/certificate.ts";
import { jobIds, queueNames } from "../queue/names.ts";
import { keys, PREFIX } from "../store/keys.ts";
import { fileStem } from "../store/layout.ts";
import { execAll } from "../store/script.ts";
import { examine } from "./folder.ts";
import type { Known, ReconcileDeps } from "./ports.ts";
import type { Lines } from "./queues.ts";

const SLICE = 500;
/** Statuses in which a certificate is on its way through an order. */
const IN_ORDER: ReadonlySet<Status> = new Set([
  "queued",
  "checking",
  "ordering",
  "validating",
  "finalizing",
  "waiting",
]);

/** Looks at every record of the index: its files, its job, its nodes. */
export class Records {
  readonly #deps: ReconcileDeps;
  readonly #known: Known;
  readonly #lines: Lines;
  readonly #goneNodes = new Map<string, number>();
  readonly #acmePorts = new Set<number>();

  constructor(deps: ReconcileDeps, known: Known, lines: Lines) {
    this.#deps = deps;
    this.#known = known;
    this.#lines = lines;
  }

  /** All of the index, in slices. */
  async walk(): Promise<void> {
    const { redis, report } = this.#deps;
    let cursor: string | undefined;
    do {
      const from = cursor === undefined ? "-" : `(${cursor}`;
      const ids = await redis.zrange(keys.certificates, from, "+", "BYLEX", "LIMIT", 0, SLICE);
      await this.look(await this.#readable(ids));
      if (ids.length > 0) report.looked("certificates", ids.length);
      cursor = ids.at(-1);
    } while (cursor !== undefined);
  }

  /** These were, or would be, put back. */
  async look(records: readonly CertificateRecord[]): Promise<void> {
    for (const record of records) {
      this.#known.generations.set(record.id, record.generation);
      this.#known.stems.add(fileStem(record.id));
      if (record.spec.challenge === "http-01") this.#acmePorts.add(record.spec.acmePort);
      for (const node of this.#deps.deployment.goneFrom(record))
        this.#goneNodes.set(node, (this.#goneNodes.get(node) ?? 0) + 1);
    }
    const whole: CertificateRecord[] = [];
    for (const record of records) if (await this.#hasFiles(record)) whole.push(record);
    await this.#giveJobs(records);
    await this.#deploy(whole);
    await this.#takeAway(records);
  }

  /** What only all of them together tell. */
  async finish(): Promise<void> {
    const { report, redis } = this.#deps;
    for (const [node, count] of this.#goneNodes) report.add("node_gone", node, `${count} certificates`);
    for (const port of await redis.smembers(keys.acmePorts))
      if (!this.#acmePorts.has(Number(port))) report.add("port_unused", port);
  }

  async #readable(ids: readonly string[]): Promise<CertificateRecord[]> {
    const { certificates } = this.#deps;
    return await certificates.present(ids).catch(async () => {
      const each = await Promise.all(ids.map((id) => certificates.get(id).catch(() => undefined)));
      return each.filter((record) => record !== undefined);
    });
  }

  /** A certificate without its files cannot be brought anywhere. */
  async #hasFiles({ id, leaf, status }: CertificateRecord): Promise<boolean> {
    const { report, shared, files, clock } = this.#deps;
    if (leaf === undefined || status === "removed" || this.#known.onDisk.has(id)) return true;
    this.#known.onDisk.add(id);
    if (await shared?.recover(id, report.dryRun)) {
      report.add("set_from_store", firstNameOf(id));
      return true;
    }
    // Issued since the files were looked at.
    if (hasSet(files.root, id, clock.now())) return true;
    report.add("files_gone", firstNameOf(id), `serial ${leaf.serial}`);
    return false;
  }

  /** Those on their way through an order that nobody would go on with. */
  async #giveJobs(records: readonly CertificateRecord[]): Promise<void> {
    const { report, accounts, intake } = this.#deps;
    const moving = records.filter((record) => isMoving(record) && !this.#known.restored.has(record.id));
    const account = (record: CertificateRecord): string => accountOf(record, accounts[0]);
    for (const record of moving)
      if (!accounts.includes(account(record)))
        report.add("account_gone", firstNameOf(record.id), account(record));
    const lacking = await this.#lacking(moving.filter((record) => accounts.includes(account(record))));
    for (const { id } of lacking) report.add("job_missing", firstNameOf(id));
    if (!report.dryRun && lacking.length > 0) await intake.addMissingJobs(lacking);
  }

  async #lacking(records: readonly CertificateRecord[]): Promise<CertificateRecord[]> {
    const without = await this.#withoutJob(records);
    if (without.length === 0) return [];
    // An order may have come to its end between the look at the record and the one at its job.
    const again = await this.#deps.certificates.getMany(without.map(({ id }) => id));
    const still = again.filter((record, index) => record && isSame(record, without[index]));
    return await this.#withoutJob(still.filter((record) => record !== undefined));
  }

  /** In a dry run a leaked key is still there, and looks like a job. */
  async #withoutJob(records: readonly CertificateRecord[]): Promise<CertificateRecord[]> {
    const { producer, accounts } = this.#deps;
    const jobs = records.map((record) => ({ ...record, account: accountOf(record, accounts[0]) }));
    const without = new Set((await producer.withoutJob(jobs)).map(({ id }) => id));
    return records.filter(({ id, generation }) => without.has(id) || this.#isLeaked(id, generation));
  }

  #isLeaked(id: string, generation: number): boolean {
    const { leaked } = this.#lines;
    if (leaked.size === 0) return false;
    const mine = [...["c", "a", "r"].map((kind) => `${kind}-${id}-${generation}`), `o-${id}`];
    if (!mine.some((jobId) => leaked.has(jobId))) return false;
    return ![...this.#lines.byQueue.values()].some(({ places }) => mine.some((jobId) => places.has(jobId)));
  }

  async #deploy(records: readonly CertificateRecord[]): Promise<void> {
    const { report, deployment, redis } = this.#deps;
    const behind = records.flatMap((record) => {
      if (this.#lines.deploying.has(record.id)) return [];
      const next = deployment.next(record);
      return next ? [{ record, job: jobKey(record, next.node) }] : [];
    });
    if (behind.length === 0) return;
    // Begun since the queues were read. One that was leaked is gone, or would be.
    const pipeline = redis.pipeline();
    for (const { job } of behind) pipeline.exists(job.key);
    const found = await execAll(pipeline);
    const lacking = behind.filter(({ job }, index) => found[index] === 0 || this.#lines.leaked.has(job.id));
    for (const { record } of lacking) report.add("deployment_missing", firstNameOf(record.id));
    if (!report.dryRun) await deployment.advance(lacking.map(({ record }) => record));
  }

  async #takeAway(records: readonly CertificateRecord[]): Promise<void> {
    const { report, deployment } = this.#deps;
    for (const record of records) {
      if (record.status !== "removed" || this.#lines.withdrawing.has(record.id)) continue;
      report.add("removal_stuck", firstNameOf(record.id));
      if (!report.dryRun) await deployment.takeAway(record);
    }
  }
}

function isMoving(record: CertificateRecord): boolean {
  return IN_ORDER.has(record.status) && !isIssued(record);
}

function isSame(record: CertificateRecord, before: CertificateRecord | undefined): boolean {
  return isMoving(record) && record.generation === before?.generation;
}

/** Where BullMQ keeps the job that brings a certificate to a node. */
function jobKey({ id, leaf, spec }: CertificateRecord, node = ""): { id: string; key: string } {
  const jobId = jobIds.deploy(id, leaf?.serial ?? "", spec.vipPort);
  return { id: jobId, key: `${PREFIX}:${queueNames.deploy(node)}:${jobId}` };
}

function hasSet(root: string, id: string, now: number): boolean {
  try {
    const { file, fault } = examine(root, fileStem(id), now);
    return typeof file !== "string" && file.leaf !== undefined && fault === undefined;
  } catch {
    return false;
  }
}
