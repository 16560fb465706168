import type { Redis } from "ioredis";
import type { Reason, Status } from "../core/certificate.ts";
import { keys } from "./keys.ts";
import { walkScript } from "./walk-script.ts";

/** Certificates looked at in one call: Redis does nothing else meanwhile, for about a millisecond. */
export const LOOKED_AT_ONCE = 1_000;

export type Sort = "name" | "expires" | "renews";

/** Where a walk stands: behind that certificate, with the score that it had. */
export interface Place {
  score: string;
  id: string;
}

/** Which certificates, in which order. */
export interface Selection {
  sort: Sort;
  order: "asc" | "desc";
  status?: Status | undefined;
  /** Of those in `waiting`. */
  reason?: Reason | undefined;
  /** Of those that stand in the file of this import. */
  import?: string | undefined;
}

export interface Walked {
  found: Place[];
  /** Where to go on; undefined at the end. */
  at: Place | undefined;
}

/**
 * Goes on behind a place. `part`: of any of its names, in small letters; `not`: what the id must not begin with. What is
 * found may have moved on since.
 */
export async function walk(
  redis: Redis,
  selection: Selection,
  {
    after,
    part = "",
    not = "",
    most,
  }: { after?: Place | undefined; part?: string; not?: string; most: number },
): Promise<Walked> {
  const { index, within, among } = setsOf(selection);
  const [id = "", score = "", ...found] = (await walkScript.run(
    redis,
    [index, keys.otherNames, within ?? index, among ?? index],
    [selection.order, after?.score ?? "", after?.id ?? "", part, not, most, LOOKED_AT_ONCE],
  )) as string[];
  return { found: pairs(found), at: id === "" ? undefined : { id, score } };
}

/** The ids that begin so, in alphabetical order, behind `after`. */
export async function beginning(
  redis: Redis,
  selection: Selection & { sort: "name" },
  { prefix, after, most }: { prefix: string; after?: string | undefined; most: number },
): Promise<string[]> {
  const { index } = setsOf(selection);
  const [first, last] = [`[${prefix}`, `(${prefix}\u00ff`];
  return selection.order === "asc"
    ? await redis.zrange(index, after === undefined ? first : `(${after}`, last, "BYLEX", "LIMIT", 0, most)
    : await redis.zrange(
        index,
        after === undefined ? last : `(${after}`,
        first,
        "BYLEX",
        "REV",
        "LIMIT",
        0,
        most,
      );
}

interface Sets {
  /** The one to walk in. */
  index: string;
  /** Those that they have to stand in beside. */
  within?: string | undefined;
  among?: string | undefined;
}

function setsOf({ sort, status, reason, import: id }: Selection): Sets {
  const narrow = reason !== undefined ? keys.waiting(reason) : status && keys.status(status);
  const among = id === undefined ? undefined : keys.importCertificates(id);
  switch (sort) {
    case "name":
      return { index: narrow ?? keys.certificates, among };
    case "expires":
      return { index: keys.expiries, within: narrow, among };
    case "renews":
      return { index: keys.renewTimes, within: narrow, among };
  }
}

function pairs(flat: readonly string[]): Place[] {
  const places: Place[] = [];
  for (let i = 0; i < flat.length; i += 2) places.push({ id: flat[i] ?? "", score: flat[i + 1] ?? "" });
  return places;
}
