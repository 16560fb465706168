import type { PlanBucket } from "./bucket.ts";
import { Heap } from "./heap.ts";
import { type Line, type Mark, Room } from "./line.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** All waiting rooms of an account. A line is in one of them at most. Times in milliseconds since the epoch. */
export class Rooms {
  readonly #rooms = new Map<PlanBucket, Room>();
  readonly #wakes = new Heap<{ at: number; room: Room }>((a, b) => a.at < b.at);
  readonly #lineOf: readonly (Line | undefined)[];

  /** `lineOf`: the line that each order stands in. */
  constructor(lineOf: readonly (Line | undefined)[]) {
    this.#lineOf = lineOf;
  }

  /** When somebody is to be called, at the earliest. */
  get nextCall(): number {
    return this.#wakes.peek()?.at ?? NEVER;
  }

  /** Whether the bucket has a token that nobody waits for who goes before this order. */
  isFree(order: number, bucket: PlanBucket, time: number): boolean {
    if (bucket.when(1, time) > time) return false;
    const first = this.#rooms.get(bucket)?.first?.head;
    return first === undefined || first > order;
  }

  /** Of those that are not free for this order, the one whose next token is the farthest. */
  emptyTheLongest(order: number, buckets: readonly PlanBucket[], time: number): PlanBucket | undefined {
    let found: PlanBucket | undefined;
    let latest = 0;
    for (const bucket of buckets) {
      if (this.isFree(order, bucket, time)) continue;
      const token = bucket.when(1, time);
      if (found !== undefined && token <= latest) continue;
      found = bucket;
      latest = token;
    }
    return found;
  }

  /** Those who were called and go after the line come back: the next token is not theirs any more. */
  enter(bucket: PlanBucket, line: Line, time: number): void {
    const room = this.#rooms.get(bucket) ?? new Room(bucket, this.#lineOf);
    this.#rooms.set(bucket, room);
    const overtaken = [...room.called].filter((called) => (called.head ?? 0) > (line.head ?? 0));
    for (const one of [line, ...overtaken]) {
      this.dismiss(one, time);
      one.room = room;
      one.enteredAt = time;
      if (one.head !== undefined) room.add(one.head);
    }
    this.#wakeLater(room, time);
  }

  /** Takes the line out of its room, if it is in one. */
  leave(line: Line, now: Mark): void {
    const { room } = line;
    if (room === undefined) return;
    line.room = undefined;
    if (line.enteredAt < now.time) line.left = { ...now, bucket: room.bucket };
  }

  /** The lines that may try again: of each room as many from its head as there are tokens. */
  call(now: Mark): Line[] {
    const called: Line[] = [];
    while (this.nextCall <= now.time) {
      const wake = this.#wakes.pop();
      // What has since been put off or brought forward says nothing.
      if (wake === undefined || wake.room.wakeAt !== wake.at) continue;
      const { room } = wake;
      for (let line = room.first; line && this.#nextToken(room, now.time) <= now.time; line = room.first) {
        this.leave(line, now);
        line.calledFrom = room;
        room.called.add(line);
        called.push(line);
      }
      this.#wakeLater(room, now.time);
    }
    return called;
  }

  /** The line has no claim any more to the token that it was called for. */
  dismiss(line: Line, time: number): void {
    const room = line.calledFrom;
    if (room === undefined) return;
    line.calledFrom = undefined;
    room.called.delete(line);
    this.#wakeLater(room, time);
  }

  /** Something has happened to the bucket. */
  changed(bucket: PlanBucket, time: number): void {
    const room = this.#rooms.get(bucket);
    if (room) this.#wakeLater(room, time);
  }

  #wakeLater(room: Room, time: number): void {
    const at = room.first === undefined ? NEVER : this.#nextToken(room, time);
    if (at === room.wakeAt) return;
    room.wakeAt = at;
    if (at !== NEVER) this.#wakes.push({ at, room });
  }

  /** Those who were called already have theirs. */
  #nextToken(room: Room, time: number): number {
    return room.bucket.when(room.called.size + 1, time);
  }
}
