import { domainToASCII, domainToUnicode } from "node:url";
import { type CertificateRecord, certificateId } from "../core/certificate.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { Redis } from "../store/redis.ts";
import { beginning, LOOKED_AT_ONCE, type Place, type Selection, walk } from "../store/walk.ts";
import { type Cursor, readCursor, writeCursor } from "./cursor.ts";

/** Names looked at for one answer: a search that finds little goes on with the next request. */
const MOST_LOOKED_AT = 10_000;

export interface PageQuery extends Selection {
  /** A part of a name. */
  q?: string | undefined;
  cursor?: string | undefined;
  limit: number;
}

export interface Page {
  records: CertificateRecord[];
  /** Where the next page goes on; undefined at the end. */
  next?: string;
}

interface Sources {
  redis: Redis;
  certificates: Pick<CertificateStore, "present">;
}

/**
 * One page. It goes on after a name, or a score and a name, not at a number, so that what comes and goes meanwhile makes
 * it neither leave out nor repeat anything that was there, and stood where it stands, all the time. Of a search by name,
 * those come first whose first name begins with what is looked for; within an import, by name alone.
 */
export async function certificatePage(sources: Sources, query: PageQuery): Promise<Page> {
  const search = query.q === undefined ? undefined : searchOf(query.q);
  const start = query.cursor === undefined ? undefined : readCursor(query.cursor, query.sort);
  const page = new PageInTheMaking(sources, query, search);
  const first = query.sort === "name" && query.import === undefined ? (search?.prefix ?? "") : "";
  if (first !== "" && start?.part !== "rest") {
    const next = await page.addBeginning({ ...query, sort: "name" }, first, start?.place);
    if (next) return page.upTo(next);
    return page.upTo(await page.addRest(undefined, first));
  }
  return page.upTo(await page.addRest(start?.place, first));
}

class PageInTheMaking {
  readonly #sources: Sources;
  readonly #query: PageQuery;
  readonly #search: Search | undefined;
  readonly #records: CertificateRecord[] = [];
  #last: Cursor | undefined;

  constructor(sources: Sources, query: PageQuery, search: Search | undefined) {
    this.#sources = sources;
    this.#query = query;
    this.#search = search;
  }

  upTo(next: Cursor | undefined): Page {
    return { records: this.#records, ...(next === undefined ? {} : { next: writeCursor(next) }) };
  }

  /** Where to go on when the page is full; undefined when there are no more of these. */
  async addBeginning(
    selection: Selection & { sort: "name" },
    prefix: string,
    after: Place | undefined,
  ): Promise<Cursor | undefined> {
    let last = after?.id;
    for (;;) {
      const most = this.#missing + 1;
      const ids = await beginning(this.#sources.redis, selection, { prefix, after: last, most });
      const places = ids.map((id) => ({ id, score: "0" }));
      if (await this.#isMoreThanFits(places, "beginning")) return this.#last;
      if (ids.length < most) return undefined;
      last = ids.at(-1);
    }
  }

  /** Where to go on when the page is full, or enough was looked at; undefined at the end. */
  async addRest(from: Place | undefined, not: string): Promise<Cursor | undefined> {
    const { sort } = this.#query;
    let after = from;
    for (let looked = 0; looked < MOST_LOOKED_AT; looked += LOOKED_AT_ONCE) {
      const { found, at } = await walk(this.#sources.redis, this.#query, {
        after,
        part: this.#search?.part ?? "",
        not,
        most: this.#missing + 1,
      });
      if (await this.#isMoreThanFits(found, "rest")) return this.#last;
      if (at === undefined) return undefined;
      after = at;
    }
    return after && { sort, part: "rest", place: after };
  }

  get #missing(): number {
    return this.#query.limit - this.#records.length;
  }

  /** Adds as many as the page takes. */
  async #isMoreThanFits(places: readonly Place[], part: Cursor["part"]): Promise<boolean> {
    const records = await this.#sources.certificates.present(places.map(({ id }) => id));
    const placeOf = new Map(places.map((place) => [place.id, place]));
    for (const record of records) {
      const place = placeOf.get(record.id);
      if (place === undefined || !this.#isWanted(record)) continue;
      if (this.#missing === 0) return true;
      this.#records.push(record);
      this.#last = { sort: this.#query.sort, part, place };
    }
    return false;
  }

  /** It may have moved on since the index was read. */
  #isWanted(record: CertificateRecord): boolean {
    const { status, reason } = this.#query;
    return (
      (status === undefined || record.status === status) &&
      (reason === undefined || (record.status === "waiting" && record.reason === reason)) &&
      (this.#search === undefined || this.#search.matches(record))
    );
  }
}

interface Search {
  /** In small letters, composed as names are. */
  part: string;
  /** What ids begin with whose first names begin with it; "" where no name can. */
  prefix: string;
  /** As A-labels or as people write them. */
  matches(record: CertificateRecord): boolean;
}

function searchOf(q: string): Search {
  const part = q.normalize("NFC").toLowerCase();
  const isAscii = /^[\x21-\x7e]*$/.test(part);
  return {
    part,
    prefix: certificateId(isAscii ? part : domainToASCII(part)),
    matches: ({ spec }) =>
      spec.names.some((name) => name.includes(part) || domainToUnicode(name).includes(part)),
  };
}
