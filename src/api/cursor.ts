import type { Place, Sort } from "../store/walk.ts";
import { RequestError } from "./problems.ts";

/** Where a page of certificates goes on, as `next` and `cursor` have it. */
export interface Cursor {
  sort: Sort;
  /** Of a search by name: among the first names that begin with what is looked for, or among the rest. */
  part: "beginning" | "rest";
  place: Place;
}

const BEGINNING = "^";

/** By name that is the name alone, else the score and the name; no name holds a space. */
export function writeCursor({ sort, part, place: { score, id } }: Cursor): string {
  const text = sort === "name" ? (part === "beginning" ? BEGINNING : "") + id : `${sort} ${score} ${id}`;
  return Buffer.from(text).toString("base64url");
}

/** Refuses one that was given for another order (422). */
export function readCursor(cursor: string, sort: Sort): Cursor {
  const text = Buffer.from(cursor, "base64url").toString();
  const known = Buffer.from(text).toString("base64url") === cursor ? parse(text, sort) : undefined;
  if (known) return known;
  throw new RequestError(422, "invalid_request", "The request is not as it has to be.", [
    {
      field: "cursor",
      value: cursor.slice(0, 120),
      reason: `it is none that was given as \`next\` for sort=${sort}`,
    },
  ]);
}

function parse(text: string, sort: Sort): Cursor | undefined {
  if (sort === "name") {
    const isBeginning = text.startsWith(BEGINNING);
    const id = isBeginning ? text.slice(BEGINNING.length) : text;
    if (id === "" || id.includes(" ")) return undefined;
    return { sort, part: isBeginning ? "beginning" : "rest", place: { score: "0", id } };
  }
  const [, of, score, id] = /^(\w+) (-?\d{1,17}(?:\.\d{1,17})?) ([^ ]+)$/.exec(text) ?? [];
  if (of !== sort || score === undefined || id === undefined) return undefined;
  return { sort, part: "rest", place: { score, id } };
}
