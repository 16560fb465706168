import type { AppError } from "../core/errors.ts";
import type { StoredBundle } from "../store/layout.ts";

/** A certificate with its key, as a target takes it: never in a job, a log, an event or an error. */
export type Bundle = StoredBundle;

/** What is to be taken away from a node. */
export interface Removal {
  id: string;
  names: readonly string[];
}

/** Why some of a batch could not be done, by the certificate's id. */
export type Failures = ReadonlyMap<string, AppError>;

/** One thing that `certherd doctor` has looked at. */
export interface Examined {
  what: string;
  ok: boolean;
  /** What is there, or what is wrong and how to mend it. */
  detail: string;
}

/**
 * What a node is given its certificates through. All of it can be repeated: after a crash between any two steps the
 * same batch comes again.
 *
 * A call throws where it is about the node as a whole, and then nothing of the batch counts as done: an AppError of
 * disposition `unavailable` when the node cannot be reached, of disposition `node` when a person has to mend it.
 */
export interface Target {
  /** Certificates taken at once. */
  readonly batch: number;
  /** Milliseconds that a batch waits for more to come. */
  readonly gather: number;
  /** Milliseconds until the next batch may begin, where the target has a pace of its own. */
  rest(): Promise<number>;
  /** Puts certificates into use, new ones and renewed ones alike. */
  put(bundles: readonly Bundle[]): Promise<Failures>;
  /** Takes certificates out of use, and their files away; what is not there is no failure. */
  remove(removals: readonly Removal[]): Promise<Failures>;
  /** Looks whether this target can do its work, changing nothing. */
  examine(): AsyncIterable<Examined>;
  /**
   * What lies where this target puts certificates, under names as it gives them: the stems of their ids (`fileStem`).
   * Missing where there is no such place. Throws where it cannot be read.
   */
  present?(): AsyncIterable<string>;
  close(): Promise<void>;
}

/** Where a target that reloads keeps the moment of its last reload, over all processes and restarts. */
export interface Pace {
  /** Milliseconds until `every` has passed since the last one. */
  rest(every: number): Promise<number>;
  /** Noted before it is done. */
  reloading(): Promise<void>;
}

export const NO_FAILURES: Failures = new Map();
