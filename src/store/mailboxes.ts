import type { Redis } from "ioredis";
import type { MailRoute } from "../core/certificate.ts";
import { keys } from "./keys.ts";
import { execAll, Script } from "./script.ts";

export interface Addressed {
  /** The certificate's id. */
  id: string;
  group: string;
  route: MailRoute;
}

/** Words of its own for a mail that is not about certificates alone. */
export interface Notice {
  title: string;
  detail: string;
}

export interface Box {
  box: string;
  group: string;
}

/** Seconds that a route outlives the last certificate put into one of its boxes: longer than any import takes. */
const ROUTE_LIFE = 400 * 86_400;
/** Seconds. */
const NOTICE_LIFE = 7 * 86_400;
const SLICE = 500;
/** What has been taken out of a box for the mail that is on its way. */
const taken = (box: string): string => `taken-${box}`;

/**
 * Empties a box into the sorted set of what one mail tells, every score being the moment of that. What was taken
 * before and not finished, as after a crash, stands: it may have been sent, and has to be told in the same words.
 *
 * KEYS: box, taken. ARGV: now (ms). Returns the moment at which it was taken, or nil when there is nothing.
 */
const takeScript = new Script(
  "take_mail",
  `
if redis.call('EXISTS', KEYS[2]) == 0 then
  if redis.call('ZUNIONSTORE', KEYS[2], 1, KEYS[1], 'WEIGHTS', ARGV[1]) == 0 then return false end
  redis.call('DEL', KEYS[1])
end
return redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
`,
);

/** Puts back what was taken. KEYS: box, taken. */
const putBackScript = new Script(
  "put_back_mail",
  `
for from = 0, redis.call('ZCARD', KEYS[2]) - 1, 1000 do
  redis.call('SADD', KEYS[1], unpack(redis.call('ZRANGE', KEYS[2], from, from + 999)))
end
return redis.call('DEL', KEYS[2])
`,
);

/**
 * Whom to tell about which certificates. A box holds ids, one set for each mail group, until a mail has told them;
 * it bears an import's id, or is "now", "later" or "each-" and a certificate's id.
 */
export class MailBoxes {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Puts certificates into their import's boxes, in one round trip. Repeating it changes nothing. */
  async address(importId: string, entries: readonly Addressed[]): Promise<void> {
    if (entries.length === 0) return;
    const pipeline = this.#redis.pipeline();
    const routes = new Map<string, MailRoute>();
    for (const { id, group, route } of entries) {
      pipeline.sadd(keys.mailBox(importId, group), id);
      routes.set(group, route);
    }
    for (const [group, route] of routes)
      pipeline.set(keys.mailGroup(group), JSON.stringify(route), "EX", ROUTE_LIFE);
    pipeline.sadd(keys.importGroups(importId), ...routes.keys());
    await execAll(pipeline);
  }

  async drop(box: string, group: string, ids: readonly string[], route: MailRoute): Promise<void> {
    if (ids.length === 0) return;
    const pipeline = this.#redis.pipeline();
    pipeline.set(keys.mailGroup(group), JSON.stringify(route), "EX", ROUTE_LIFE);
    pipeline.sadd(keys.mailBox(box, group), ...ids);
    await execAll(pipeline);
  }

  /** The mail groups of an import that has not been told yet. */
  async groups(importId: string): Promise<string[]> {
    return await this.#redis.smembers(keys.importGroups(importId));
  }

  /** For as long as a mail is tried. */
  async putNotice(box: string, notice: Notice): Promise<void> {
    await this.#redis.set(keys.notice(box), JSON.stringify(notice), "EX", NOTICE_LIFE);
  }

  async notice(box: string): Promise<Notice | undefined> {
    const text = await this.#redis.get(keys.notice(box));
    return text === null ? undefined : (JSON.parse(text) as Notice);
  }

  async route(group: string): Promise<MailRoute | undefined> {
    const route = await this.#redis.get(keys.mailGroup(group));
    return route === null ? undefined : (JSON.parse(route) as MailRoute);
  }

  /** How many certificates are to be told, those that were taken included. */
  async size(box: string, group: string): Promise<number> {
    const [waiting, inHand] = await execAll(
      this.#redis
        .pipeline()
        .scard(keys.mailBox(box, group))
        .zcard(keys.mailBox(taken(box), group)),
    );
    return Number(waiting) + Number(inHand);
  }

  /**
   * Takes out what the next mail tells; what comes in meanwhile is left to the one after it. Returns the moment
   * (milliseconds since the epoch) at which this was first done, or undefined when there is nothing to tell.
   */
  async take(box: string, group: string, now: number): Promise<number | undefined> {
    const at = await takeScript.run(this.#redis, pair(box, group), [now]);
    return at === null ? undefined : Number(at);
  }

  /** What was taken, in slices of 500, in alphabetical order. */
  async *ids(box: string, group: string): AsyncGenerator<string[]> {
    let from = "-";
    for (;;) {
      const key = keys.mailBox(taken(box), group);
      const slice = await this.#redis.zrange(key, from, "+", "BYLEX", "LIMIT", 0, SLICE);
      if (slice.length > 0) yield slice;
      if (slice.length < SLICE) return;
      from = `(${slice.at(-1)}`;
    }
  }

  /** What was taken has been told. */
  async told(box: string, group: string): Promise<void> {
    await this.#redis.unlink(keys.mailBox(taken(box), group));
  }

  /** What was taken has certainly not been told: the next mail tells it, with what has come in meanwhile. */
  async putBack(box: string, group: string): Promise<void> {
    await putBackScript.run(this.#redis, pair(box, group), []);
  }

  /** The mails of an import are queued, or none are wanted; its list of groups is needed no more. */
  async finishImport(importId: string, options: { discard: boolean }): Promise<void> {
    if (options.discard) {
      const groups = await this.groups(importId);
      for (let from = 0; from < groups.length; from += SLICE)
        await this.#redis.unlink(
          ...groups.slice(from, from + SLICE).map((group) => keys.mailBox(importId, group)),
        );
    }
    const told = this.#redis
      .multi()
      .hset(keys.import(importId), "told", "1")
      .del(keys.importGroups(importId));
    await execAll(told);
  }

  async isTold(importId: string): Promise<boolean> {
    return (await this.#redis.hget(keys.import(importId), "told")) === "1";
  }

  /** Every box that holds something. Walks over all keys of this Redis: for the start only. */
  async *filled(): AsyncGenerator<Box> {
    let cursor = "0";
    do {
      const [next, found] = await this.#redis.scan(cursor, "MATCH", keys.mailBox("*", "*"), "COUNT", 1_000);
      for (const key of found) {
        const [box = "", group = ""] = key.split(":").slice(2);
        yield { box: box.startsWith(taken("")) ? box.slice(taken("").length) : box, group };
      }
      cursor = next;
    } while (cursor !== "0");
  }
}

function pair(box: string, group: string): [string, string] {
  return [keys.mailBox(box, group), keys.mailBox(taken(box), group)];
}
