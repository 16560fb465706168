import {
  type CertificateRecord,
  type CertificateSpec,
  certificateId,
  isIssued,
  isObtained,
  isRetriable,
  namesKey,
} from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import type { Producer } from "../queue/producer.ts";
import type { AcceptAction, Accepted, CertificateStore } from "../store/certificates.ts";
import type { ImportCounts, ImportStore } from "../store/imports.ts";

/** Who tells people: registers whom an import's digest goes to, and is told when an import has nothing open. */
export interface DigestBook {
  address(importId: string, specs: readonly CertificateSpec[]): Promise<void>;
  importEnded(importId: string): Promise<void>;
}

/** Chooses the CA account of each spec that leaves it open; undefined for the one it asks for, or the first. */
export interface AccountChooser {
  choose(specs: readonly CertificateSpec[]): Promise<readonly (string | undefined)[]>;
}

/** Brings certificates that are there to where they are to be served. */
export interface Deployments {
  advance(records: readonly CertificateRecord[]): Promise<void>;
  /** The same, and what was put off is begun now. */
  retry(records: readonly CertificateRecord[]): Promise<void>;
}

export interface EnqueuerDeps {
  certificates: CertificateStore;
  imports: ImportStore;
  producer: Producer;
  digests: DigestBook;
  rollouts: Deployments;
  clock: Clock;
  /** The account that a certificate without a CA of its own is ordered with. */
  defaultAccount: string;
  accounts?: AccountChooser;
}

const WITHDRAWN_AT_ONCE = 100;

/** The one way into the queue, for imports, single enqueues, retries, and what is found on disk at a start. */
export class Enqueuer {
  readonly #deps: EnqueuerDeps;

  constructor(deps: EnqueuerDeps) {
    this.#deps = deps;
  }

  /**
   * Takes specs into the index and queues those that lead to an order. They have to be on disk before. A call that
   * a crash cut off can be repeated: what was queued is found so.
   */
  async enqueue(
    specs: readonly CertificateSpec[],
    options: {
      importId?: string;
      force?: boolean;
      /** When each was asked for, where that was not now. */
      at?: readonly number[];
      /** They renew certificates that are there: they need not stand in line. */
      renewal?: boolean;
      /** Of this turn alone, in place of each one's own; 1 goes first. */
      priority?: number;
      /** The account of each that has one already, with an order in hand or the certificate that it renews. */
      accounts?: readonly (string | undefined)[];
      /** The serials of the leaves that are to be renewed, as long as those are in use and at rest. */
      renews?: readonly (string | undefined)[];
      beforeAdmission?: (accepted: Accepted[]) => Promise<void>;
    } = {},
  ): Promise<Accepted[]> {
    const { certificates, imports, digests, clock } = this.#deps;
    if (specs.length === 0) return [];
    const { importId } = options;
    if (importId !== undefined) {
      await imports.addCertificates(
        importId,
        specs.map(({ names }) => certificateId(names[0] ?? "")),
      );
      await digests.address(importId, specs);
    }
    const accounts = await this.#accountsFor(specs, options.accounts);
    const accepted = await certificates.accept(specs, { ...options, accounts, now: clock.now() });
    await options.beforeAdmission?.(accepted);
    await this.#admit(accepted, specs, accounts, options);
    await this.#deploy(accepted);
    return accepted;
  }

  /** Fixed here, for as long as it is asked for: another first CA in the configuration must not order it, too. */
  async #accountsFor(
    specs: readonly CertificateSpec[],
    given: readonly (string | undefined)[] = [],
  ): Promise<string[]> {
    const { accounts, defaultAccount } = this.#deps;
    const chosen = given.length > 0 ? [] : ((await accounts?.choose(specs)) ?? []);
    return specs.map((spec, index) => given[index] ?? chosen[index] ?? spec.ca ?? defaultAccount);
  }

  /** Its certificate is there: its deployment is tried again, or it is wanted at another port. */
  async #deploy(accepted: readonly Accepted[]): Promise<void> {
    const ids = accepted.filter(
      ({ action, hasLeaf }) => action === "deploy" || (action === "updated" && hasLeaf),
    );
    if (ids.length === 0) return;
    await this.#deps.rollouts.retry(await this.#deps.certificates.present(ids.map(({ id }) => id)));
  }

  /** Queues what has been accepted with a new generation. */
  async #admit(
    accepted: readonly Accepted[],
    specs: readonly CertificateSpec[],
    accounts: readonly string[],
    { renewal = false, priority }: { renewal?: boolean; priority?: number },
  ): Promise<void> {
    const { producer, clock } = this.#deps;
    const admissions = accepted.flatMap(({ id, generation, action, hasLeaf, accountBefore }, index) => {
      const [spec, account] = [specs[index], accounts[index]];
      if (!spec || !account || !leadsToOrder(action)) return [];
      const renews = renewal || (hasLeaf && action === "retry");
      return [
        {
          id,
          generation,
          account,
          priority: priority ?? spec.priority,
          renewal: renews,
          accountBefore,
        },
      ];
    });
    await this.#withdraw(admissions);
    await producer.enqueue(admissions, clock.now());
  }

  /**
   * What was asked for before is overtaken by this: its next try was planned for later, or it waits for a limit. A try
   * that was just being planned has this one's generation.
   */
  async #withdraw(
    admissions: readonly {
      id: string;
      generation: number;
      account: string;
      accountBefore: string | undefined;
    }[],
  ): Promise<void> {
    const overtaken = admissions.filter(({ generation }) => generation > 1);
    const { producer } = this.#deps;
    for (let from = 0; from < overtaken.length; from += WITHDRAWN_AT_ONCE)
      await Promise.all(
        overtaken.slice(from, from + WITHDRAWN_AT_ONCE).map(async (job) => {
          const before = job.accountBefore ?? job.account;
          await producer.withdraw(before, { id: job.id, generation: job.generation - 1 });
          await producer.withdraw(before, job);
        }),
      );
  }

  /** What `enqueue` would do with each, without doing it. */
  async foresee(specs: readonly CertificateSpec[]): Promise<AcceptAction[]> {
    const records = await this.#deps.certificates.getMany(
      specs.map(({ names }) => certificateId(names[0] ?? "")),
    );
    return specs.map((spec, index) => {
      const record = records[index];
      if (!record || record.status === "removed") return "new";
      if (namesKey(record.spec.names) !== namesKey(spec.names)) return "reorder";
      if (isOnItsWay(record) && record.spec.ca !== spec.ca) return "reorder";
      if (isRetriable(record)) return isIssued(record) ? "deploy" : "retry";
      if (isObtained(record) && record.leaf && record.spec.vipPort !== spec.vipPort) return "deploy";
      return JSON.stringify(record.spec) === JSON.stringify(spec) ? "unchanged" : "updated";
    });
  }

  /** Whether each has to be written to disk before it is enqueued. */
  async changed(specs: readonly CertificateSpec[]): Promise<boolean[]> {
    return (await this.foresee(specs)).map((action) => action !== "unchanged");
  }

  /** The whole file has been enqueued. */
  async finishReading(importId: string, counts: ImportCounts): Promise<void> {
    if (await this.#deps.imports.finishReading(importId, counts))
      await this.#deps.digests.importEnded(importId);
  }
}

/** As the accept script has it: nothing has been issued yet that another CA would have to replace. */
function isOnItsWay(record: CertificateRecord): boolean {
  return !isObtained(record) && !isIssued(record) && record.status !== "paused";
}

function leadsToOrder(action: AcceptAction): boolean {
  return action === "new" || action === "reorder" || action === "retry";
}
