import { PREFIX } from "../store/keys.ts";
import type { Redis } from "../store/redis.ts";

/** Keys asked for in one round trip. */
const COUNT = 2_000;
/** Job ids read in one round trip. */
const SLICE = 5_000;
/** What stands below a queue beside its jobs has no such name (see jobIds). */
const JOB = /^[carodxm]-[^:]+$/;

/** What is in Redis, by a walk over all keys: what no list tells of has to be found, too. */
export interface Inventory {
  /** Queue → ids of the jobs that have a key. */
  jobs: Map<string, Set<string>>;
  queues: Set<string>;
  /** "account:holder" of those that hold tokens. */
  holdings: string[];
  /** "limit:account:subject". */
  rooms: string[];
}

/** `certificates` is handed the ids of all records, some at a time and perhaps twice. */
export async function takeInventory(
  redis: Redis,
  certificates: (ids: string[]) => Promise<void>,
): Promise<Inventory> {
  const inventory: Inventory = { jobs: new Map(), queues: new Set(), holdings: [], rooms: [] };
  let cursor = "0";
  do {
    const [next, found] = await redis.scan(cursor, "MATCH", `${PREFIX}:*`, "COUNT", COUNT);
    const ids: string[] = [];
    for (const key of found) {
      const rest = key.slice(PREFIX.length + 1);
      const at = rest.indexOf(":");
      const [family, name] = [rest.slice(0, at), rest.slice(at + 1)];
      if (at < 0) continue;
      if (family === "cert") ids.push(name);
      else if (family === "holding") inventory.holdings.push(name);
      else if (family === "room") inventory.rooms.push(name);
      else if (isQueue(family)) note(inventory, family, name);
    }
    await certificates(ids);
    cursor = next;
  } while (cursor !== "0");
  return inventory;
}

/** Every queue is named for its stage, but for the one of mail. */
function isQueue(family: string): boolean {
  return family === "notify" || /^(check|admit|renew|order|deploy)-/.test(family);
}

function note({ queues, jobs }: Inventory, queue: string, name: string): void {
  queues.add(queue);
  if (!JOB.test(name)) return;
  const ids = jobs.get(queue) ?? new Set();
  jobs.set(queue, ids.add(name));
}

/** The ids of jobs that stand in line in a queue, or sleep there, and of those that are worked on. */
export async function placesOf(
  redis: Redis,
  queue: string,
): Promise<{ places: Set<string>; active: Set<string> }> {
  const base = `${PREFIX}:${queue}:`;
  const places = new Set<string>();
  for (const name of ["prioritized", "delayed", "failed", "completed", "waiting-children"])
    await gather(places, (from, to) => redis.zrange(`${base}${name}`, String(from), String(to)));
  for (const name of ["wait", "paused"])
    await gather(places, (from, to) => redis.lrange(`${base}${name}`, from, to));
  const active = new Set(await redis.lrange(`${base}active`, 0, -1));
  for (const id of active) places.add(id);
  return { places, active };
}

async function gather(
  into: Set<string>,
  read: (from: number, to: number) => Promise<string[]>,
): Promise<void> {
  for (let from = 0; ; from += SLICE) {
    const ids = await read(from, from + SLICE - 1);
    for (const id of ids) if (JOB.test(id)) into.add(id);
    if (ids.length < SLICE) return;
  }
}

export interface JobOf {
  id: string;
  /** An order's job does not tell its own. */
  generation?: number;
  /** A deployment's or a withdrawal's. */
  vipPort?: number;
}

/** Whose job that is, by its id. Undefined for one that is no certificate's. */
export function jobOf(jobId: string): JobOf | undefined {
  const [kind, rest] = [jobId[0], jobId.slice(2)];
  switch (kind) {
    case "c":
    case "a":
    case "r": {
      const [, id = "", generation] = /^(.+)-(\d+)$/.exec(rest) ?? [];
      return id === "" ? undefined : { id, generation: Number(generation) };
    }
    case "o":
      return { id: rest };
    case "d": {
      const [, id = "", port] = /^(.+)-[0-9A-F]+-(\d+)$/i.exec(rest) ?? [];
      return id === "" ? undefined : { id, vipPort: Number(port) };
    }
    case "x": {
      const [, id = "", generation, port] = /^(.+)-(\d+)-(\d+)$/.exec(rest) ?? [];
      return id === "" ? undefined : { id, generation: Number(generation), vipPort: Number(port) };
    }
    default:
      return undefined;
  }
}
