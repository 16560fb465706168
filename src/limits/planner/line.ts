import type { PlanBucket } from "./bucket.ts";
import { Heap } from "./heap.ts";

/** A moment, and how long admission had stood still for the account's bucket by then. Milliseconds. */
export interface Mark {
  time: number;
  stoodStill: number;
}

/**
 * Orders that take tokens of the same buckets, one behind the other. Only the first one can be the next to go, so the
 * line goes through queue and waiting rooms as one. An order is a number here: the smaller one goes first.
 */
export class Line {
  readonly buckets: readonly PlanBucket[];
  /** The waiting room it stands in; undefined: in the admission queue, or empty. */
  room: Room | undefined;
  /** The room that has called it, until it has got its token or is sent away. */
  calledFrom: Room | undefined;
  /** When it came into its room. */
  enteredAt = 0;
  /** The room that it has waited in last. */
  left: (Mark & { bucket: PlanBucket }) | undefined;
  readonly #orders = new Heap<number>((a, b) => a < b);

  constructor(buckets: readonly PlanBucket[]) {
    this.buckets = buckets;
  }

  get head(): number | undefined {
    return this.#orders.peek();
  }

  add(order: number): void {
    this.#orders.push(order);
  }

  shift(): void {
    this.#orders.pop();
  }
}

/** The waiting room of a bucket: lines, by their first orders. */
export class Room {
  readonly bucket: PlanBucket;
  /** The lines that have been called and have not got their token yet. */
  readonly called = new Set<Line>();
  /** When the next one is called. */
  wakeAt = Number.POSITIVE_INFINITY;
  readonly #heads = new Heap<number>((a, b) => a < b);
  readonly #lineOf: readonly (Line | undefined)[];

  constructor(bucket: PlanBucket, lineOf: readonly (Line | undefined)[]) {
    this.bucket = bucket;
    this.#lineOf = lineOf;
  }

  /** The line whose first order is the first in the room. What has left meanwhile is passed over. */
  get first(): Line | undefined {
    for (;;) {
      const order = this.#heads.peek();
      if (order === undefined) return undefined;
      const line = this.#lineOf[order];
      if (line?.room === this && line.head === order) return line;
      this.#heads.pop();
    }
  }

  add(order: number): void {
    this.#heads.push(order);
  }
}
