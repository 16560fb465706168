import { domainToUnicode } from "node:url";
import type { CertificateRecord, Status } from "../core/certificate.ts";
import type { CertificateStore } from "../store/certificates.ts";
import { RequestError } from "./problems.ts";

/** Records looked at for one answer: a search that finds little goes on with the next request. */
const MOST_LOOKED_AT = 5_000;
const SLICE = 500;

export interface PageQuery {
  status?: Status | undefined;
  q?: string | undefined;
  cursor?: string | undefined;
  limit: number;
}

export interface Page {
  records: CertificateRecord[];
  /** Where the next page goes on; undefined at the end. */
  next?: string;
}

/**
 * One page in alphabetical order. It goes on after a name, not at a number, so that what comes and goes meanwhile
 * makes it neither leave out nor repeat anything that was there all the time.
 */
export async function certificatePage(store: CertificateStore, query: PageQuery): Promise<Page> {
  const { status, limit } = query;
  const matches = matcher(query.q);
  const records: CertificateRecord[] = [];
  let at = query.cursor === undefined ? undefined : readCursor(query.cursor);
  let looked = 0;
  const size = query.q === undefined ? Math.min(SLICE, limit + 1) : SLICE;
  const wanted = { limit: size, ...(status === undefined ? {} : { status }) };
  while (looked < MOST_LOOKED_AT) {
    const slice = await store.page({ ...wanted, ...(at === undefined ? {} : { cursor: at }) });
    if (slice.length === 0) return { records };
    for (const record of slice) {
      if (records.length === limit) return { records, next: writeCursor(at ?? "") };
      looked++;
      at = record.id;
      // It may have moved on since the index was read.
      if ((status === undefined || record.status === status) && matches(record)) records.push(record);
    }
  }
  return { records, next: writeCursor(at ?? "") };
}

/** A part of any of its names, as A-labels or as people write them. */
function matcher(q: string | undefined): (record: CertificateRecord) => boolean {
  if (q === undefined) return () => true;
  const part = q.toLowerCase();
  const ascii = /^[\x20-\x7e]*$/.test(part);
  return ({ spec }) => spec.names.some((name) => (ascii ? name : domainToUnicode(name)).includes(part));
}

function writeCursor(id: string): string {
  return Buffer.from(id).toString("base64url");
}

function readCursor(cursor: string): string {
  const id = Buffer.from(cursor, "base64url").toString();
  if (id !== "" && writeCursor(id) === cursor) return id;
  throw new RequestError(422, "invalid_request", "The request is not as it has to be.", [
    { field: "cursor", value: cursor.slice(0, 120), reason: "it is none that was given as `next`" },
  ]);
}
