/**
 * A CA account whose orders come at random, held twice: by the ledger in Redis, and by Boulder's own limits. The clock
 * is the test's. A certificate that was refused leaves its waiting room at once, so that each question stands alone.
 */
import type { Redis } from "ioredis";
import { namesKey } from "../../src/core/certificate.ts";
import { type Exemption, exemptionOf } from "../../src/limits/buckets.ts";
import { type Admission, Ledger } from "../../src/limits/ledger.ts";
import type { CaLimits, OrderLimit } from "../../src/limits/table.ts";
import { keys } from "../../src/store/keys.ts";
import { BOULDER_LIMITS, BoulderLimits } from "./boulder-limits.ts";
import { makeLimits } from "./limits.ts";
import { type Random, randomFrom } from "./random.ts";

export const DAY = 86_400_000;

/** Undefined: no such limit. */
export type WorldLimits = Partial<Record<OrderLimit, { count: number; periodMs: number }>>;

/** How time goes by: in steps of up to so many milliseconds, and one time in so many in a leap. */
export interface Pace {
  step: number;
  leap: number;
  leapEvery: number;
}

export interface NameSet {
  names: readonly string[];
  /** By construction, and not by a list of public suffixes. */
  domains: readonly string[];
  /** When a certificate was last issued for it; 0 for never. */
  issuedAt: number;
}

/** Registered domains under suffixes of one and two labels, private ones among them. */
const DOMAINS = Array.from({ length: 36 }, (_, i) => `d${i}.${["com", "co.uk", "github.io", "org"][i % 4]}`);
const KNOWN_SETS = 48;

export class World {
  readonly account: string;
  readonly boulder: BoulderLimits;
  readonly ledger: Ledger;
  readonly random: Random;
  now = Date.UTC(2026, 10, 25);
  readonly #redis: Redis;
  readonly #pace: Pace;
  readonly #limits: CaLimits;
  readonly #sets: NameSet[] = [];
  #made = 0;
  #asked = 0;

  constructor(redis: Redis, seed: number, limits: WorldLimits, pace: Pace) {
    this.account = `world-${seed}`;
    this.random = randomFrom(seed);
    this.#redis = redis;
    this.#pace = pace;
    const { newOrders, certificatesPerDomain, certificatesPerNameSet } = limits;
    const off = { failedAuthorizations: null, consecutiveFailures: null };
    const own = [newOrders, certificatesPerDomain, certificatesPerNameSet].map((limit) => limit ?? null);
    const [orders = null, domain = null, set = null] = own;
    this.boulder = new BoulderLimits({
      limits: { ...off, newOrders: orders, certificatesPerDomain: domain, certificatesPerNameSet: set },
    });
    this.#limits = makeLimits({ certificates: ledgerLimits(limits), renewalsExempt: true });
    this.ledger = new Ledger(redis, this.account, this.#limits, () => this.now);
  }

  /** A set that was asked for before, or a new one of up to five names under up to three domains. */
  someSet(): NameSet {
    if (this.#sets.length > 0 && this.random.oneIn(2))
      return this.#sets[this.random.below(1 + this.random.below(this.#sets.length))] as NameSet;
    const made = this.#made++;
    const { random } = this;
    const names = Array.from({ length: 1 + random.below(random.oneIn(4) ? 5 : 1) }, (_, i) => {
      // Some domains have many names, most have few.
      const domain = DOMAINS[random.below(1 + random.below(DOMAINS.length))] as string;
      return { domain, name: random.oneIn(9) ? `*.s${made}-${i}.${domain}` : `s${made}-${i}.${domain}` };
    });
    const set = {
      names: names.map(({ name }) => name),
      domains: [...new Set(names.map(({ domain }) => domain))],
      issuedAt: 0,
    };
    this.#sets[this.#sets.length < KNOWN_SETS ? this.#sets.length : random.below(KNOWN_SETS)] = set;
    return set;
  }

  /** Mostly short, so that buckets are emptied; now and then long, so that they fill again. */
  someStep(): number {
    const { random } = this;
    const { step, leap, leapEvery } = this.#pace;
    if (random.oneIn(leapEvery)) return random.below(leap);
    return random.below(random.oneIn(20) ? 50 * step : step);
  }

  exemptionOf(set: NameSet): Exemption {
    const leaf = { ca: this.account, set: namesKey(set.names), issuedAt: set.issuedAt };
    return exemptionOf(
      set.names,
      set.issuedAt === 0 ? undefined : leaf,
      this.account,
      this.#limits,
      this.now,
    );
  }

  /** The ledger has a day less of it than Boulder, for the sake of clocks: on that day the two differ on purpose. */
  isNeitherNewNorOld({ issuedAt }: NameSet): boolean {
    const age = this.now - issuedAt;
    return issuedAt !== 0 && age >= 119 * DAY && age <= 120 * DAY;
  }

  /** The one certificate that asks for all the orders, as the store would have it. */
  async begin(): Promise<void> {
    await this.#redis.hset(keys.certificate(this.account), { generation: 1, status: "queued" });
  }

  nextHolder(): string {
    return `${this.account}#${this.#asked++}`;
  }

  async ask(set: NameSet, holder: string, exemption: Exemption): Promise<Admission> {
    const admission = this.ledger.admit({
      id: this.account,
      generation: 1,
      names: set.names,
      priority: 50,
      holder,
      exemption,
    });
    const rooms = [
      keys.room("certificatesPerNameSet", this.account, namesKey(set.names)),
      ...set.domains.map((domain) => keys.room("certificatesPerDomain", this.account, domain)),
    ];
    const left = this.#redis.pipeline().del(...rooms, keys.rooms(this.account));
    await left.hdel(keys.certificate(this.account), "room").exec();
    return await admission;
  }

  /** How long Boulder would have this order wait for each bucket, in the words of the ledger. */
  waits(set: NameSet, exemption: Exemption): { limit: OrderLimit; subject: string; wait: number }[] {
    const wait = (limit: OrderLimit, key: string): number =>
      this.boulder.buckets(limit)?.check(key, this.now).retryIn ?? 0;
    const names = { limit: "certificatesPerNameSet", subject: namesKey(set.names) } as const;
    const all = [{ ...names, wait: wait("certificatesPerNameSet", setOf(set)) }];
    if (exemption !== "none") return all;
    const domains = set.domains.map((subject) => {
      const limit = "certificatesPerDomain" as const;
      return { limit, subject, wait: wait(limit, subject) };
    });
    const orders = { limit: "newOrders", subject: "", wait: wait("newOrders", this.account) } as const;
    return [orders, ...domains, ...all];
  }

  /** Whether one more certificate is within Boulder's limits at this moment. */
  mayIssue(set: NameSet): boolean {
    const free = (limit: OrderLimit, key: string): boolean =>
      this.boulder.buckets(limit)?.check(key, this.now).allowed ?? true;
    if (!free("certificatesPerNameSet", setOf(set))) return false;
    const renewal = this.boulder.isRenewal(set.names, this.now);
    return renewal || set.domains.every((domain) => free("certificatesPerDomain", domain));
  }
}

function setOf({ names }: NameSet): string {
  return [...names].sort().join(",");
}

/** The ledger keeps one new order in hand: with one more it has as many as Boulder. */
function ledgerLimits({ newOrders, ...others }: WorldLimits): CaLimits["certificates"] {
  const plain = Object.entries(others).map(([name, { count, periodMs }]) => [
    name,
    { count, period: periodMs },
  ]);
  const limits: CaLimits["certificates"] = Object.fromEntries(plain);
  if (!newOrders) return limits;
  const emission = Math.floor(newOrders.periodMs / newOrders.count);
  const count = newOrders.count + 1;
  return { ...limits, newOrders: { count, period: emission * count } };
}

const { newOrders, certificatesPerDomain, certificatesPerNameSet } = BOULDER_LIMITS;
type Kind = readonly [limits: WorldLimits, pace: Pace];
const WEEKS: Pace = { step: 300, leap: 4 * DAY, leapEvery: 900 };
/** So long that what was issued once is no renewal any more. */
const QUARTERS: Pace = { ...WEEKS, leap: 300 * DAY, leapEvery: 1_200 };
const LIMITS: WorldLimits = { newOrders, certificatesPerDomain, certificatesPerNameSet };
/** Numbers that do not divide, and buckets of a single token. */
const ODD: Kind = [
  {
    newOrders: { count: 7, periodMs: 601_007 },
    certificatesPerDomain: { count: 3, periodMs: 3_600_001 },
    certificatesPerNameSet: { count: 2, periodMs: 7_200_000 + 1 },
  },
  { step: 60_000, leap: 7_200_000, leapEvery: 100 },
];
const SINGLE: Kind = [
  {
    newOrders: { count: 1, periodMs: 20_000 },
    certificatesPerDomain: { count: 1, periodMs: 240_000 },
    certificatesPerNameSet: { count: 1, periodMs: 3_600_000 },
  },
  { step: 10_000, leap: 3_600_000, leapEvery: 100 },
];
const NO_ORDERS: Kind = [{ certificatesPerDomain, certificatesPerNameSet }, WEEKS];
const KINDS = [[LIMITS, WEEKS], [LIMITS, QUARTERS], ODD, SINGLE, NO_ORDERS] as const;

/** One of each kind, whose numbers begin with the seed. */
export async function openWorlds(redis: Redis, seed: number): Promise<World[]> {
  const worlds = KINDS.map(([limits, pace], i) => new World(redis, seed + i, limits, pace));
  await Promise.all(worlds.map((world) => world.begin()));
  const [first] = worlds;
  // Scripts that Redis does not know yet are sent twice, which would change the order of what goes out at once.
  if (first) await first.ask(first.someSet(), "first", "none").then(() => first.ledger.release("first"));
  return worlds;
}

/** Tokens that are held. One that nobody gives back would be lost for days. */
export async function heldKeys(redis: Redis): Promise<string[]> {
  return [...(await redis.keys("*:holds:*")), ...(await redis.keys("*:holding:*"))];
}
