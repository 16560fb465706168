import { setTimeout as sleep } from "node:timers/promises";
import type { CertificateSpec } from "../core/certificate.ts";
import { asAppError } from "../core/errors.ts";
import { registeredDomain } from "../core/names.ts";
import type { Triage, Triaged } from "./deps.ts";
import { problemOf } from "./problems.ts";
import type { TriageLine, TriageReport } from "./schemas/triage.ts";

/** Milliseconds between two looks at how far it is. */
const LOOK = 250;
/** Looks after which a line is sent though nothing has changed, so that both ends know of each other. */
const QUIET = 8;
/** Of those that are not ready in one piece of the last line. */
const PIECE = 200;

type Waiting = TriageReport["waiting"][number];

export interface TriageRequest {
  specs: readonly CertificateSpec[];
  /** Rows that stand for none. */
  rejected: number;
  triage: Triage;
  signal: AbortSignal;
}

/** Lines of JSON: how far it is, and at the end the report, or the problem that has ended it. */
export async function* triageLines(request: TriageRequest): AsyncGenerator<string> {
  const found = new Findings(request);
  const end = { reached: false, error: undefined as unknown };
  const work = request
    .triage(request.specs, async (triaged) => found.add(triaged), request.signal)
    .then(
      () => {
        end.reached = true;
      },
      (error: unknown) => {
        end.reached = true;
        end.error = error ?? new Error("The triage has ended.");
      },
    );
  let told = -1;
  for (let quiet = 0; !end.reached; quiet++) {
    if (found.done !== told || quiet >= QUIET) {
      told = found.done;
      quiet = 0;
      yield line({ progress: { done: told, total: request.specs.length } });
    }
    const late = new AbortController();
    await Promise.race([work, sleep(LOOK, undefined, { signal: late.signal })]);
    late.abort();
  }
  if (end.error === undefined) yield* found.report();
  else yield line({ problem: { ...problemOf(asAppError(end.error), Date.now()).problem } });
}

function line(value: TriageLine): string {
  return `${JSON.stringify(value)}\n`;
}

class Findings {
  readonly #counts = { ready: 0, customer: 0, node: 0, blocked: 0 };
  readonly #waiting: Waiting[] = [];
  readonly #request: TriageRequest;

  constructor(request: TriageRequest) {
    this.#request = request;
  }

  get done(): number {
    const { ready, customer, node, blocked } = this.#counts;
    return ready + customer + node + blocked;
  }

  add({ spec, verdict }: Triaged): void {
    this.#counts[verdict.kind]++;
    if (verdict.kind === "ready") return;
    const { kind, ...what } = verdict;
    this.#waiting.push({
      name: spec.names[0] ?? "",
      domain: registeredDomain(spec.names[0] ?? ""),
      kind,
      ...what,
      ...("records" in what ? { records: what.records.map((record) => ({ ...record })) } : {}),
      ...(spec.mail === undefined ? {} : { mail: spec.mail.to }),
    } as Waiting);
  }

  /** One line, in pieces. */
  async *report(): AsyncGenerator<string> {
    const { specs, rejected } = this.#request;
    const head = { certificates: specs.length, ...this.#counts, rejected };
    yield `{"triage":${JSON.stringify(head).slice(0, -1)},"waiting":[`;
    for (let from = 0; from < this.#waiting.length; from += PIECE) {
      const piece = this.#waiting.slice(from, from + PIECE).map((one) => JSON.stringify(one));
      yield (from === 0 ? "" : ",") + piece.join(",");
    }
    yield "]}}\n";
  }
}
