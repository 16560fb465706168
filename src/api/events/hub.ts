import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { BEGINNING, compareIds, EventStream } from "../../store/event-stream.ts";
import type { Redis } from "../../store/redis.ts";
import { whenGone } from "../gone.ts";
import { RequestError } from "../problems.ts";
import { EventClient } from "./client.ts";
import { batchOf, frameOf, HEARTBEAT, resetFrame, retryFrame } from "./frames.ts";

/** Events read at once. */
const BATCH = 100;
/** Milliseconds: one wait for the next event, between two signs of life, and after a failure. */
const BLOCK = 5_000;
const BEAT = 15_000;
const AGAIN = 500;
/** Milliseconds in which events gather before all clients are written to: a write costs the same for one as for many. */
const GATHER = 250;

export interface HubLimits {
  /** Clients of one token, and of all. */
  perToken: number;
  total: number;
}

export interface Wanted {
  lastEventId?: string | undefined;
  /** So many of the newest ones first; not where an event is named. */
  recent?: number | undefined;
  /** Without the events' kinds. */
  plain?: boolean;
}

const LIMITS: HubLimits = { perToken: 500, total: 2_000 };

/** Reads the stream of events once, on a connection of its own, for all clients of this process. */
export class EventHub {
  /** Clients that were cut off as they did not read. */
  cutOff = 0;
  readonly #redis: Redis;
  readonly #history: EventStream;
  readonly #limits: HubLimits;
  readonly #clients = new Set<EventClient>();
  #reader: Redis | undefined;
  #reading: Promise<void> | undefined;
  #ready: Promise<void> | undefined;
  #beat: NodeJS.Timeout | undefined;
  #position = BEGINNING;
  #closed = false;

  constructor(redis: Redis, limits: HubLimits = LIMITS) {
    this.#redis = redis;
    this.#history = new EventStream(redis);
    this.#limits = limits;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Throws where there are too many already. */
  check(token: string): void {
    const own = [...this.#clients].filter((client) => client.token === token).length;
    if (own < this.#limits.perToken && this.size < this.#limits.total) return;
    throw new RequestError(
      429,
      "too_many_streams",
      "Too many clients listen to events already; close some of them, or come again later.",
    );
  }

  /** Sends what is kept after that event, or the newest ones, where that is asked for, and then what comes. */
  async add(response: ServerResponse, token: string, { lastEventId, recent, plain }: Wanted): Promise<void> {
    const client = new EventClient(response, token, lastEventId ?? BEGINNING, plain ? "plain" : "data");
    this.#clients.add(client);
    whenGone(response, () => this.#clients.delete(client));
    try {
      this.#write(client, retryFrame());
      this.#beat ??= setInterval(() => this.#each((one) => this.#write(one, HEARTBEAT)), BEAT);
      await this.#start();
      if (lastEventId !== undefined) await this.#catchUp(client, lastEventId);
      else if (recent !== undefined) await this.#sendNewest(client, recent);
      else client.position = this.#position;
      client.live = true;
    } catch {
      // Redis went away: it comes back with the last event that it has seen.
      client.cutOff();
    }
  }

  async #sendNewest(client: EventClient, count: number): Promise<void> {
    client.position = await this.#history.before(count);
    await this.#sendKept(client);
  }

  async #catchUp(client: EventClient, lastEventId: string): Promise<void> {
    const oldest = (await this.#history.oldest()) ?? BEGINNING;
    const newest = await this.#history.newest();
    const isAhead = compareIds(lastEventId, newest) > 0;
    if (isAhead || compareIds(lastEventId, oldest) < 0) this.#write(client, resetFrame(oldest));
    if (isAhead) client.position = newest;
    await this.#sendKept(client);
  }

  /** All that is kept after what it has seen. */
  async #sendKept(client: EventClient): Promise<void> {
    for (;;) {
      const frames = (await this.#history.after(client.position, BATCH)).map(frameOf);
      if (!client.send(frames, batchOf(frames))) this.cutOff++;
      if (client.gone) return;
      // Whoever reads the stream may have been sent one meanwhile that was not there yet when this was asked for.
      if (frames.length === 0 || compareIds(this.#position, client.position) <= 0) return;
      if (await client.taken()) continue;
      if (!client.gone) this.cutOff++;
      return client.cutOff();
    }
  }

  async #start(): Promise<void> {
    this.#ready ??= this.#history.newest().then((newest) => {
      if (this.#closed) return;
      this.#position = newest;
      this.#reader = this.#redis.duplicate();
      this.#reader.on("error", () => undefined);
      this.#reading = this.#read(new EventStream(this.#reader));
    });
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
  }

  async #read(stream: EventStream): Promise<void> {
    while (!this.#closed) {
      try {
        const frames = (await stream.next(this.#position, BATCH, BLOCK)).map(frameOf);
        if (frames.length === 0) await this.#lookBack(stream);
        const all = batchOf(frames);
        this.#position = frames.at(-1)?.id ?? this.#position;
        this.#each((client) => {
          if (client.live && !client.send(frames, all)) this.cutOff++;
        });
        if (frames.length < BATCH && !this.#closed) await sleep(GATHER);
      } catch {
        if (!this.#closed) await sleep(AGAIN);
      }
    }
  }

  /** A Redis that was lost begins its stream anew, and its clock may be behind: what comes must not be waited past. */
  async #lookBack(stream: EventStream): Promise<void> {
    const newest = await stream.newest();
    if (compareIds(newest, this.#position) >= 0) return;
    this.#position = newest;
    this.#each((client) => {
      client.position = newest;
      this.#write(client, resetFrame(newest));
    });
  }

  #each(act: (client: EventClient) => void): void {
    for (const client of this.#clients) act(client);
  }

  #write(client: EventClient, data: Buffer): void {
    if (!client.write(data)) this.cutOff++;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#beat);
    this.#each((client) => client.end());
    this.#reader?.disconnect();
    await this.#reading;
  }
}
