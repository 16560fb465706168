/** Boulder keeps nonces for a long time, others do not: an old one costs a request that is refused. */
const MAX_AGE = 60_000;
const MAX_POOLED = 128;

/**
 * Nonces of earlier answers (RFC 8555 §6.5), newest first: at one HEAD a request, the 20 a second that Let's
 * Encrypt allows would hold a host below three certificates a second.
 */
export class NoncePool {
  readonly #pool: { nonce: string; at: number }[] = [];

  give(nonce: string, now = Date.now()): void {
    if (this.#pool.length >= MAX_POOLED) this.#pool.shift();
    this.#pool.push({ nonce, at: now });
  }

  take(now = Date.now()): string | undefined {
    const newest = this.#pool.pop();
    if (newest === undefined || now - newest.at <= MAX_AGE) return newest?.nonce;
    this.#pool.length = 0;
    return undefined;
  }
}
