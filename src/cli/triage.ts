import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { finished } from "node:stream/promises";
import type { CertificateSpec } from "../core/certificate.ts";
import { customerLine, customersHeader } from "../preflight/customers.ts";
import type { House } from "../runtime/house.ts";
import { type Triaged, triage } from "../runtime/triage.ts";
import { foreseeFile } from "./foresee.ts";
import { InProcessWorkers } from "./house.ts";
import { type Io, note, print, table } from "./output.ts";
import { Progress } from "./progress.ts";

const SHOWN = 20;
const PRIVATE = 0o600;

type Kind = Triaged["verdict"]["kind"];

const WORDS: Record<Kind, string> = {
  ready: "ready",
  customer: "waiting for the customer",
  node: "not to be told from here",
  blocked: "blocked",
};

interface Found {
  counts: Record<Kind, number>;
  /** Those that are not ready, the first ones of each kind apart. */
  others: Triaged[];
  rejected: number;
  customersFile: string | undefined;
}

/** Looks whether the names of a file lead here, and orders nothing. */
export async function runTriage(
  house: House,
  io: Io,
  file: string,
  { json }: { json?: boolean },
): Promise<number> {
  const { specs, counts } = await foreseeFile(house, io, file);
  const rejected = counts.rejectedRows;
  const workers = new InProcessWorkers(house);
  try {
    await workers.ensure(["respond"]);
    const found = await look(house, io, specs, file, rejected, json === true);
    if (json) print(io, JSON.stringify(document(found, specs.length)));
    else for (const line of lines(found, specs.length)) print(io, line);
    const { ready } = found.counts;
    return ready === specs.length && rejected === 0 ? 0 : 1;
  } finally {
    await workers.close();
  }
}

async function look(
  house: House,
  io: Io,
  specs: readonly CertificateSpec[],
  file: string,
  rejected: number,
  quiet: boolean,
): Promise<Found> {
  const counts: Record<Kind, number> = { ready: 0, customer: 0, node: 0, blocked: 0 };
  const others: Triaged[] = [];
  const customers = file === "-" ? undefined : new CustomersFile(`${file}.customers.csv`);
  const progress = quiet || specs.length === 0 ? undefined : new Progress(io, Date.now());
  try {
    await triage(house, specs, async (triaged) => {
      counts[triaged.verdict.kind]++;
      if (triaged.verdict.kind !== "ready") others.push(triaged);
      customers?.add(triaged);
      const { ready, customer, node, blocked } = counts;
      const state = {
        total: specs.length,
        done: ready + customer,
        failed: node + blocked,
        waiting: customer,
      };
      progress?.update(state, Date.now());
    });
  } finally {
    progress?.stop();
  }
  const customersFile = await customers?.close();
  if (customers?.fault !== undefined) note(io, customers.fault);
  return { counts, others, rejected, customersFile };
}

/** Made when the first line is there: an empty file would only raise questions, and so would that of last week. */
class CustomersFile {
  /** Why it could not be written; the rest is reported all the same. */
  fault: string | undefined;
  readonly #path: string;
  #stream: ReturnType<typeof createWriteStream> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  add({ spec, names }: Triaged): void {
    for (const { verdict } of names) {
      if (verdict.kind !== "customer") continue;
      for (const record of verdict.records) {
        this.#stream ??= this.#open();
        this.#stream.write(customerLine({ domain: spec.names[0] ?? "", record, mail: spec.mail?.to }));
      }
    }
  }

  /** The file's path, if there is one. */
  async close(): Promise<string | undefined> {
    if (!this.#stream) {
      await rm(this.#path, { force: true }).catch(() => undefined);
      return undefined;
    }
    this.#stream.end();
    await finished(this.#stream).catch(() => undefined);
    return this.fault === undefined ? this.#path : undefined;
  }

  #open(): ReturnType<typeof createWriteStream> {
    const stream = createWriteStream(this.#path, { mode: PRIVATE });
    stream.on("error", (error) => {
      this.fault ??= `${this.#path} cannot be written: ${error.message}.`;
    });
    stream.write(customersHeader());
    return stream;
  }
}

function document({ counts, others, rejected, customersFile }: Found, total: number) {
  return {
    certificates: total,
    ...counts,
    rejected,
    ...(customersFile === undefined ? {} : { customersFile }),
    waiting: others.map(({ spec, verdict }) => ({ name: spec.names[0] ?? "", ...verdict })),
  };
}

function lines({ counts, others, rejected, customersFile }: Found, total: number): string[] {
  const parts = (Object.keys(WORDS) as Kind[])
    .filter((kind) => kind === "ready" || counts[kind] > 0)
    .map((kind) => `${counts[kind]} ${WORDS[kind]}`);
  if (rejected > 0)
    parts.push(`${rejected} ${rejected === 1 ? "row" : "rows"} rejected (--dry-run shows why)`);
  const rows = others
    .slice(0, SHOWN)
    .map(({ spec, verdict }) => [
      spec.names[0] ?? "",
      WORDS[verdict.kind],
      verdict.kind === "ready" ? "" : verdict.detail,
    ]);
  return [
    `${total} ${total === 1 ? "certificate" : "certificates"} to order: ${parts.join(", ")}. Nothing was ordered.`,
    ...(rows.length > 0 ? ["", table(["NAME", "STATE", "WHY"], rows)] : []),
    ...(others.length > rows.length ? [`… and ${others.length - rows.length} more`] : []),
    ...(customersFile === undefined ? [] : ["", `What customers have to set is in ${customersFile}.`]),
  ];
}
