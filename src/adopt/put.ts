import type { CertificateRecord, IssuedLeaf, RenewalState, Status } from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import type { CertificateStore } from "../store/certificates.ts";
import { type CertificateFiles, certificateFile } from "../store/files.ts";
import { newImportId } from "../store/import-files.ts";
import { type SettlementListener, settle } from "../store/settlement.ts";
import type { Examined } from "./examine.ts";
import type { ClientKind, Found } from "./found.ts";
import type { Verdict } from "./judge.ts";
import {
  type KnownAs,
  leafFor,
  newRecord,
  provenanceFor,
  recordOf,
  type SpecTemplate,
  specFor,
} from "./record.ts";

export interface PutDeps {
  certificates: CertificateStore;
  files: CertificateFiles;
  listener: SettlementListener;
  clock: Clock;
  rollouts: {
    deploys(vipPort: number): boolean;
    advance(records: readonly CertificateRecord[]): Promise<void>;
  };
  /** When a leaf is renewed that has just come. */
  plan(record: CertificateRecord, leaf: IssuedLeaf): { leaf: IssuedLeaf; schedule: RenewalState };
  /** Counts what was obtained lately, as far as that still counts. */
  ledgers(): { add(record: CertificateRecord): void; write(): Promise<void> };
}

export interface Taken {
  examined: Examined;
  found: Found;
  ca: KnownAs | undefined;
  verdict: Extract<Verdict, { kind: "adopt" | "index" }>;
}

/**
 * Writes certificates of another client as if they had been issued here: the files first, then the index, then on to
 * their nodes. It can die anywhere: repeating it does what is missing, and the sweep moves on what is `deploying`.
 */
export class Putter {
  readonly #deps: PutDeps;
  readonly #from: ClientKind;
  readonly #template: SpecTemplate;
  readonly #ledgers: ReturnType<PutDeps["ledgers"]>;
  /**
   * They are told of together, as those of an import are: who has thousands does not want a mail for each renewal. No
   * import of that id is on record, so the configuration says how.
   */
  readonly #importId: string;

  constructor(deps: PutDeps, from: ClientKind, template: SpecTemplate) {
    this.#deps = deps;
    this.#from = from;
    this.#template = template;
    this.#ledgers = deps.ledgers();
    this.#importId = newImportId(deps.clock.now());
  }

  /** The record that is in the index when this returns. */
  async put(taken: Taken): Promise<CertificateRecord> {
    const { examined, verdict } = taken;
    const record =
      verdict.kind === "index"
        ? await this.#intoIndex(recordOf(examined.id, verdict.file))
        : verdict.over === undefined
          ? await this.#intoIndex(await this.#newFiles(taken))
          : await this.#replace(taken, verdict.over);
    this.#ledgers.add(record);
    return record;
  }

  /** On to their nodes, where they have some. */
  async advance(records: readonly CertificateRecord[]): Promise<void> {
    const deploying = records.filter(({ status }) => status === "deploying");
    if (deploying.length > 0) await this.#deps.rollouts.advance(deploying);
  }

  async end(): Promise<void> {
    await this.#ledgers.write();
  }

  async #newFiles(taken: Taken): Promise<CertificateRecord> {
    const { examined, found, ca } = taken;
    const now = this.#deps.clock.now();
    const spec = specFor(examined, found, ca, this.#template);
    const leaf = leafFor(examined, found, ca, 1, now);
    const adopted = {
      ...newRecord(examined.id, spec, leaf, this.#resting(spec.vipPort), now),
      importId: this.#importId,
    };
    const record = { ...adopted, ...this.#deps.plan(adopted, leaf) };
    await this.#commit(taken, record);
    return record;
  }

  async #intoIndex(record: CertificateRecord): Promise<CertificateRecord> {
    const { certificates, clock } = this.#deps;
    // Somebody may have asked for it meanwhile: then it is on its way.
    if ((await certificates.get(record.id)) !== undefined)
      throw new AppError("It was asked for here in between. Look at `certherd show`, and adopt it again.", {
        code: "adopt_busy",
        disposition: "attention",
      });
    await certificates.restore([record]);
    const event = { what: "adopted", detail: this.#detail(record) };
    const { status, generation } = record;
    await certificates.transition(record.id, generation, { status, attempts: 0, event }, clock.now());
    return record;
  }

  /** In the place of an older leaf of ours, or of none. Names, ports and mail stay as they were asked for here. */
  async #replace(taken: Taken, over: CertificateRecord): Promise<CertificateRecord> {
    const { examined, found, ca } = taken;
    const { orderUrl: _, reason: __, detail: ___, until: ____, error: _____, ...kept } = over;
    const leaf = leafFor(examined, found, ca, over.generation, this.#deps.clock.now());
    const planned = this.#deps.plan(over, leaf);
    const resting = { status: this.#resting(over.spec.vipPort), attempts: 0, ...planned };
    const record: CertificateRecord = { ...kept, ...resting };
    await this.#commit(taken, record);
    const event = { what: "adopted", detail: this.#detail(record) };
    if (!(await settle(this.#deps, over, { ...resting, event }, { committed: true })))
      throw new AppError("It was asked for anew in between, and is on its way here.", {
        code: "adopt_busy",
        disposition: "attention",
      });
    return record;
  }

  /** Whole, and with its key, or not at all. What may be left of an order that has ended is no good any more. */
  async #commit({ examined, found, ca }: Taken, record: CertificateRecord): Promise<void> {
    const { files } = this.#deps;
    const { id, leafPem, issuersPem, keyPem } = examined;
    await files.discardPending(id);
    const staged = await files.pendingKey(id, async () => keyPem);
    if (staged !== keyPem)
      throw new AppError("It was asked for here in between, and is on its way.", {
        code: "adopt_busy",
        disposition: "attention",
      });
    const file = certificateFile(record, provenanceFor(found, ca));
    await files.commit(id, { leafPem, issuersPem, file });
  }

  #resting(vipPort: number): Status {
    return this.#deps.rollouts.deploys(vipPort) ? "deploying" : "issued";
  }

  #detail({ leaf }: CertificateRecord): string {
    return `serial ${leaf?.serial}, from ${leaf?.issuer}, as ${this.#from} had it`;
  }
}
