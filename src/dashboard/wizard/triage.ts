/** The answer of a triage, line by line, and what is to be done about it, by whom. */
import type { TriageLine, TriageReport } from "../../api/schemas/triage.ts";
import { sheetLine } from "./cells.ts";

type Waiting = TriageReport["waiting"][number];

/** Each line of a body of JSON lines, as soon as it is there. */
export async function* jsonLines<T>(body: ReadableStream<Uint8Array>): AsyncGenerator<T, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let begun = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (begun + decoder.decode(value, { stream: true })).split("\n");
      begun = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield JSON.parse(line) as T;
    }
    if (begun !== "") yield JSON.parse(begun) as T;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Reads to the report. Throws an error that says what has ended it, or that it broke off. */
export async function readTriage(
  body: ReadableStream<Uint8Array>,
  onProgress: (progress: { done: number; total: number }) => void,
): Promise<TriageReport> {
  for await (const line of jsonLines<TriageLine>(body)) {
    if ("progress" in line) onProgress(line.progress);
    else if ("triage" in line) return line.triage;
    else throw new Error(line.problem.detail);
  }
  throw new Error("The answer broke off before its end: check the names again.");
}

export interface CustomerGroup {
  /** The row's mail address, or else the registered domain. */
  whom: string;
  certificates: readonly Waiting[];
}

/** Who has to be told about what: those who can be written to first, each list in the order of the file. */
export function byCustomer(waiting: readonly Waiting[]): CustomerGroup[] {
  const groups = new Map<string, Waiting[]>();
  for (const one of waiting.filter(({ kind }) => kind === "customer")) {
    const whom = one.mail ?? one.domain;
    const group = groups.get(whom);
    if (group) group.push(one);
    else groups.set(whom, [one]);
  }
  return [...groups].map(([whom, certificates]) => ({ whom, certificates }));
}

/** As `certherd import --triage` writes it: one line a record. */
export function customersCsv(waiting: readonly Waiting[]): string {
  const lines = waiting.flatMap(({ name, kind, records = [], mail = "" }) =>
    kind === "customer"
      ? records.map((record) =>
          sheetLine([
            name,
            record.name,
            record.type,
            record.set ?? "(remove)",
            record.today,
            record.why,
            mail,
          ]),
        )
      : [],
  );
  return sheetLine(["DOMAIN", "Record", "Type", "Set", "Today", "Why", "Mail"]) + lines.join("");
}
