import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { CertificateDocument } from "../core/documents.ts";
import { AppError } from "../core/errors.ts";
import { keys } from "../store/keys.ts";
import type { Redis } from "../store/redis.ts";
import { RequestError } from "./problems.ts";

/** Milliseconds. An answer is kept for a day; a claim outlives any request, yet not long one whose process died. */
const KEEP = 86_400_000;
const CLAIM = 60_000;
/** How long a request waits for its twin, and between two looks. */
const WAIT = 4_000;
const LOOK = 50;

/** An answer that can be given again. */
export interface Answer {
  status: 200 | 202;
  location: string;
  document: CertificateDocument;
}

interface Slot {
  request: string;
  answer?: Answer;
}

/**
 * Does what a request with an Idempotency-Key asks for once, also when the request comes several times at once: the
 * first one claims the key and does it, the others wait for its answer. What fails leaves the key free.
 */
export class IdempotentAnswers {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  async once(
    request: { caller: string; key: string; body: unknown },
    work: () => Promise<Answer>,
  ): Promise<{ answer: Answer; replayed: boolean }> {
    const slot = keys.idempotency(request.caller, digest(request.key));
    const mine = digest(JSON.stringify(request.body));
    for (let waited = 0; waited < WAIT; waited += LOOK) {
      const claim = JSON.stringify({ request: mine } satisfies Slot);
      if ((await this.#redis.set(slot, claim, "PX", CLAIM, "NX")) === "OK")
        return { answer: await this.#perform(slot, mine, work), replayed: false };
      const known = await this.#known(slot);
      if (known && known.request !== mine) throw reused();
      if (known?.answer) return { answer: known.answer, replayed: true };
      await sleep(LOOK);
    }
    throw new AppError("A request with this Idempotency-Key is still being worked on; ask again.", {
      code: "idempotency_key_busy",
      disposition: "unavailable",
    });
  }

  async #known(slot: string): Promise<Slot | undefined> {
    const text = await this.#redis.get(slot);
    return text === null ? undefined : (JSON.parse(text) as Slot);
  }

  async #perform(slot: string, request: string, work: () => Promise<Answer>): Promise<Answer> {
    try {
      const answer = await work();
      await this.#redis.set(slot, JSON.stringify({ request, answer } satisfies Slot), "PX", KEEP);
      return answer;
    } catch (error) {
      await this.#redis.del(slot);
      throw error;
    }
  }
}

function reused(): RequestError {
  return new RequestError(
    409,
    "idempotency_key_reused",
    "This Idempotency-Key came before with another body; use a new key for a new request.",
  );
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
