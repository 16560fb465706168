import type { BULK_ACTIONS, BulkAnswer } from "../../api/schemas/bulk.ts";
import type { CertificateShown } from "../../api/schemas/certificates.ts";
import { ask } from "./ask.ts";

export type BulkAction = (typeof BULK_ACTIONS)[number];

/** What a list shows; each may be missing. */
export interface ListQuery {
  q?: string;
  status?: string;
  reason?: string;
  /** Of the certificates of that import. */
  import?: string;
  sort?: string;
  order?: string;
  /** `next` of the page before. */
  cursor?: string;
}

export interface CertificatePage {
  certificates: CertificateShown[];
  next?: string;
}

/** Rows of one page, and names in one request to act on. */
export const PAGE_SIZE = 50;
const AT_ONCE = 200;
/** Names that can be chosen with one click. */
const MOST_CHOSEN = 20_000;

/** A full page, or the last one: a search that finds little is answered in several parts. */
export async function loadPage(
  query: ListQuery,
  signal: AbortSignal,
  size = PAGE_SIZE,
): Promise<CertificatePage> {
  const certificates: CertificateShown[] = [];
  let cursor = query.cursor;
  do {
    const missing = size - certificates.length;
    const page = await ask<CertificatePage>(pathOf({ ...query, cursor }, missing), { signal });
    certificates.push(...page.certificates);
    cursor = page.next;
  } while (cursor !== undefined && certificates.length < size);
  return { certificates, ...(cursor === undefined ? {} : { next: cursor }) };
}

/** The first names of all that match, and whether those are all; `onCount` hears how many there are so far. */
export async function namesOf(
  query: ListQuery,
  signal: AbortSignal,
  onCount: (count: number) => void,
): Promise<{ names: string[]; all: boolean }> {
  const names: string[] = [];
  const { cursor: _, ...whole } = query;
  let cursor: string | undefined;
  do {
    const page = await ask<CertificatePage>(pathOf({ ...whole, cursor }, 500), { signal });
    names.push(...page.certificates.map(({ name }) => name));
    cursor = page.next;
    onCount(names.length);
  } while (cursor !== undefined && names.length < MOST_CHOSEN);
  return { names, all: cursor === undefined };
}

/** Does it to all of them, so many at once; `onDone` hears of each answer. Ends early when `signal` says so. */
export async function actOn(
  action: BulkAction,
  names: readonly string[],
  signal: AbortSignal,
  onDone: (results: BulkAnswer["results"]) => void,
): Promise<void> {
  for (let from = 0; from < names.length && !signal.aborted; from += AT_ONCE) {
    const part = names.slice(from, from + AT_ONCE);
    // What was sent is waited for, as nobody could say what became of it otherwise.
    const { results } = await ask<BulkAnswer>("/v1/certificates/actions", {
      json: { action, names: part },
    });
    onDone(results);
  }
}

function pathOf(
  query: ListQuery | (Omit<ListQuery, "cursor"> & { cursor: string | undefined }),
  limit: number,
) {
  const parameters = new URLSearchParams({ limit: String(limit) });
  for (const [name, value] of Object.entries(query)) if (value) parameters.set(name, value);
  return `/v1/certificates?${parameters}`;
}
