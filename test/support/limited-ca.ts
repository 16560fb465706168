/**
 * A CA with Let's Encrypt's rate limits: Pebble, which has none, behind a gate that keeps Boulder's buckets and
 * answers as Boulder does. On a scale, so that a week of limits fits into a test.
 */
import { AcmeWatch, namesOf } from "./acme-watch.ts";
import { busyAnswer, limitedAnswer, pausedAnswer } from "./boulder-answers.ts";
import { Buckets, type Limit } from "./boulder-bucket.ts";
import { BoulderLimits, type BoulderOptions, type LimitName, type OrderRequest } from "./boulder-limits.ts";
import { type Answer, type Exchange, type Gate, type GateOptions, headerOf, startGate } from "./gate.ts";
import { isObject } from "./jws.ts";
import { type LimitedCaStats, REQUEST_CLASSES, type RequestClass, Tallies } from "./limited-ca-stats.ts";

export interface RequestLimit {
  perSecond: number;
  burst: number;
}

/** https://letsencrypt.org/docs/rate-limits/#overall-requests-limit */
export const BOULDER_REQUESTS: Readonly<Record<RequestClass, RequestLimit>> = {
  newNonce: { perSecond: 20, burst: 10 },
  newOrder: { perSecond: 300, burst: 200 },
  acme: { perSecond: 250, burst: 125 },
};

export interface LimitedCaOptions extends BoulderOptions {
  /** Off where they are not given; BOULDER_REQUESTS are the real ones. Never scaled: they are about load. */
  requests?: Partial<Record<RequestClass, RequestLimit>>;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

export interface LimitedCa extends Gate {
  /** Which limits are kept, with their periods scaled. */
  readonly limits: Partial<Record<LimitName, Limit>>;
  stats(): LimitedCaStats;
  /**
   * Takes tokens as another client of that account would, and returns how many it got: it may want more than there
   * are. Without an account, that of the latest order, or of the latest account opened.
   */
  spendNewOrders(account: string | undefined, count: number): number;
  /** Pauses a name for all accounts. */
  pause(name: string): void;
  /** What a person does on the page that the CA names. */
  unpause(name: string): void;
}

type ProxyOptions = LimitedCaOptions & Omit<GateOptions, "before" | "after">;

export async function startLimitedCa(options: ProxyOptions): Promise<LimitedCa> {
  const limited = new Limited(options);
  const gate = await startGate({
    ...options,
    before: (exchange) => limited.before(exchange),
    after: (exchange, answer) => limited.after(exchange, answer),
  });
  const { rules, tallies, now } = limited;
  return {
    ...gate,
    limits: rules.limits(),
    stats: () => tallies.stats(rules.buckets("newOrders")?.emission),
    spendNewOrders: (account, count) => limited.spendNewOrders(account, count),
    pause: (name) => rules.pause(name),
    unpause: (name) => rules.unpause(name, now()),
  };
}

class Limited {
  readonly rules: BoulderLimits;
  readonly tallies = new Tallies();
  readonly now: () => number;
  readonly #requests = new Map<RequestClass, Buckets>();
  readonly #watch: AcmeWatch;
  /** Orders on their way that have cost a token. */
  readonly #spent = new Map<Exchange, string>();
  #account: string | undefined;

  constructor({ requests = {}, now = Date.now, ...options }: LimitedCaOptions) {
    this.rules = new BoulderLimits(options);
    this.now = now;
    for (const name of REQUEST_CLASSES) {
      const limit = requests[name];
      if (limit) this.#requests.set(name, requestBuckets(limit));
    }
    this.#watch = new AcmeWatch({
      issued: (names) => this.rules.issued(names, now()),
      failed: (account, name) => this.rules.failed(account, name, now()),
      succeeded: (account, name) => this.rules.succeeded(account, name),
      validation: (name) => this.tallies.validation(name, now()),
    });
  }

  before(exchange: Exchange): Answer | undefined | Promise<Answer | undefined> {
    const busy = this.#tooFast(exchange.kind);
    if (busy) return busy;
    const order = exchange.kind === "newOrder" ? orderOf(exchange) : undefined;
    return order && this.#newOrder(exchange, order);
  }

  after(exchange: Exchange, answer: Answer | undefined): void {
    const account = this.#spent.get(exchange);
    this.#spent.delete(exchange);
    if (account !== undefined && answer?.status !== 201) {
      this.rules.refundNewOrder(account, this.now());
      this.tallies.limits.newOrders.letThrough--;
      this.tallies.orders.refunded++;
    }
    if (!answer) return;
    if (exchange.kind === "newAccount") this.#account = headerOf(answer, "location") ?? this.#account;
    this.#watch.see(exchange, answer);
  }

  spendNewOrders(account: string | undefined, count: number): number {
    const whose = account ?? this.#account;
    if (whose === undefined) throw new Error("name an account: none has been seen yet");
    let got = 0;
    while (got < count && this.rules.buckets("newOrders")?.spend(whose, this.now()).allowed) got++;
    this.tallies.giveToOthers(whose, got);
    return got;
  }

  #tooFast(kind: string): Answer | undefined {
    const name = requestClass(kind);
    const buckets = name && this.#requests.get(name);
    if (!name || !buckets) return;
    const { allowed, retryIn } = buckets.spend(name, this.now());
    this.tallies.requests[name][allowed ? "letThrough" : "refused"]++;
    return allowed ? undefined : busyAnswer(retryIn);
  }

  async #newOrder(exchange: Exchange, order: OrderRequest): Promise<Answer | undefined> {
    const { account } = order;
    this.#account = account;
    const now = this.now();
    const room = this.rules.buckets("newOrders")?.room(account, now) ?? 0;
    const verdict = this.rules.newOrder(order, now);
    if (verdict.allowed) {
      for (const limit of verdict.checked) this.tallies.limits[limit].letThrough++;
      if (!verdict.spent) this.tallies.orders.exempt++;
      else {
        this.#spent.set(exchange, account);
        this.tallies.useNewOrder(account, now, room);
      }
      return;
    }
    const { refusal } = verdict;
    this.tallies.refuse({ limit: refusal.limit, key: refusal.key, at: now, account });
    const nonce = await exchange.nonce();
    if (refusal.limit === "paused") return pausedAnswer(account, refusal.key, nonce);
    return limitedAnswer(refusal, now, nonce);
  }
}

/** Undefined for what Pebble will refuse anyway: it says so itself. */
function orderOf({ jws }: Exchange): OrderRequest | undefined {
  const names = namesOf(jws?.payload);
  if (jws?.kid === undefined || names.length === 0 || !isObject(jws.payload)) return;
  const { replaces } = jws.payload;
  return { account: jws.kid, names, replaces: typeof replaces === "string" && replaces !== "" };
}

function requestClass(kind: string): RequestClass | undefined {
  if (kind === "newNonce" || kind === "newOrder") return kind;
  // These have limits of their own, or none.
  return /^(directory|renewalInfo|setRenewalInfo|other)$/.test(kind) ? undefined : "acme";
}

function requestBuckets({ perSecond, burst }: RequestLimit): Buckets {
  return new Buckets({ count: burst, periodMs: (burst / perSecond) * 1_000 }, { fraction: true });
}
