/** A CA whose terms of service change: Pebble, which has fixed ones, behind a gate that names others. */
import { readFileSync } from "node:fs";
import { type Answer, type Gate, startGate } from "./gate.ts";
import { httpText } from "./http.ts";
import type { Pebble } from "./pebble.ts";

export interface TermsCa extends Gate {
  /** The URL that the directory names from now on; undefined for Pebble's own. */
  setTerms(url: string | undefined): void;
  /** What it answers in Pebble's place to one kind of request; undefined for nothing. */
  refuse(kind: string, answer: Answer | undefined): void;
}

export async function startTermsCa({ directoryUrl: upstream, rootPath }: Pebble): Promise<TermsCa> {
  const ca = readFileSync(rootPath, "utf8");
  let terms: string | undefined;
  const refusals = new Map<string, Answer>();
  const gate = await startGate({
    upstream,
    rootPath,
    answer: (kind) => refusals.get(kind),
    async before({ kind, url }) {
      if (kind !== "directory" || terms === undefined) return undefined;
      // Pebble writes its URLs as it was asked.
      const text = (await httpText(upstream, { ca })).replaceAll(
        new URL(upstream).origin,
        new URL(url).origin,
      );
      const document = JSON.parse(text) as { meta?: object };
      const body = JSON.stringify({ ...document, meta: { ...document.meta, termsOfService: terms } });
      return { status: 200, rawHeaders: ["Content-Type", "application/json"], body: Buffer.from(body) };
    },
  });
  return {
    ...gate,
    setTerms(url) {
      terms = url;
    },
    refuse(kind, answer) {
      if (answer) refusals.set(kind, answer);
      else refusals.delete(kind);
    },
  };
}

/** RFC 8555 §7.3.3 */
export function userActionRequired(terms: string, instance: string): Answer {
  const problem = {
    type: "urn:ietf:params:acme:error:userActionRequired",
    detail: "Terms have changed",
    instance,
  };
  return {
    status: 403,
    rawHeaders: [
      ...["Content-Type", "application/problem+json"],
      ...["Link", '<https://ca.example/dir>;rel="index"', "Link", `<${terms}>;rel="terms-of-service"`],
    ],
    body: Buffer.from(JSON.stringify(problem)),
  };
}
