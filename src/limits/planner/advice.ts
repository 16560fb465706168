import { humanDuration } from "../../core/duration.ts";
import type { Stepwise } from "../../core/gently.ts";
import type { OrderLimit } from "../table.ts";
import { joined, lifted, namesOf, neededCount, type Regrouped, wildcard } from "./advice-changes.ts";
import type { Advice, LimitWait, PlanInput, PlanOrder } from "./plan.ts";
import { schedule } from "./schedule.ts";
import type { Placement } from "./simulation.ts";
import { counted, minute, thousands } from "./words.ts";

/** More would be read by nobody. */
const MOST = 5;
/** Of each kind of limit so many are looked at; those that finish last decide when all is finished. */
const LOOKED_AT = 3;
/** Every way is tried out on the whole plan. With more orders than that it takes a second, so only the worst limit is. */
const MANY = 50_000;
/** Milliseconds; less than that is no help. */
const WORTH = 60_000;
/** Where a CA takes requests for higher limits: https://letsencrypt.org/docs/rate-limits/#requesting-an-override */
const FORMS: Readonly<Record<string, string>> = {
  letsencrypt: "https://isrg.formstack.com/forms/rate_limit_adjustment_request; the answer takes a few weeks",
};

/** A way to go faster that was tried out. */
interface Trial {
  advice: Omit<Advice, "finishesAt" | "text">;
  /** What is to be done, as the beginning of a sentence. */
  text: string;
  scheduled: readonly Placement[];
  /** Whose waiting it is about. */
  concerns(order: PlanOrder): boolean;
  /** As many names as one order stands for, where it stands for others. */
  stands: ReadonlyMap<PlanOrder, number>;
}

const NONE: ReadonlyMap<PlanOrder, number> = new Map();

/** What would help the most, each way tried out on the whole plan. `limits` are those of `scheduled`. */
export function* advise(
  input: PlanInput,
  scheduled: readonly Placement[],
  limits: readonly LimitWait[],
): Stepwise<Advice[]> {
  const tries = input.orders.length * input.accounts.length > MANY ? 1 : LOOKED_AT;
  const domains = waitsFor(limits, "certificatesPerDomain");
  const keys = [...new Set(domains.map(({ key }) => key))];
  const accounts = waitsFor(limits, "newOrders").slice(0, tries);
  const trials: Trial[] = [];
  for (const key of keys.slice(0, tries)) trials.push(...(yield* domainRegrouped(input, scheduled, key)));
  for (const wait of [...accounts, ...domains.slice(0, tries)])
    trials.push(...(yield* override(input, scheduled, wait)));
  for (const wait of accounts) trials.push(...(yield* accountJoined(input, scheduled, wait)));
  if (accounts.length === 0 && keys.length > 1) trials.push(...(yield* allJoined(input, new Set(keys))));
  return yield* helpful(trials, scheduled, input);
}

/** The one first that holds somebody the longest. */
function waitsFor(limits: readonly LimitWait[], kind: OrderLimit): LimitWait[] {
  return limits.filter(({ limit }) => limit === kind).sort((a, b) => b.until - a.until);
}

function* domainRegrouped(
  input: PlanInput,
  scheduled: readonly Placement[],
  domain: string,
): Stepwise<Trial[]> {
  const concerns = ({ domains }: PlanOrder): boolean => domains.includes(domain);
  const limit = "certificatesPerDomain";
  const trials = yield* joinTrials(
    input,
    yield* joined(input, concerns),
    { limit, key: domain },
    domain,
    concerns,
  );
  const held = scheduled.filter(
    (one) => one.order.reported && one.held?.limit === limit && one.held.subject === domain,
  );
  const single = wildcard(
    input,
    domain,
    held.map(({ order }) => order),
  );
  if (single)
    trials.push({
      advice: { kind: "wildcard", limit, key: domain, names: single.names, orders: 1 },
      text: `Order one wildcard certificate ${single.name} for the ${counted(single.names, "name")} below it (it needs dns-01)`,
      scheduled: yield* schedule({ ...input, orders: single.orders }),
      concerns,
      stands: single.stands,
    });
  return trials;
}

function* accountJoined(
  input: PlanInput,
  scheduled: readonly Placement[],
  { ca, key }: LimitWait,
): Stepwise<Trial[]> {
  const here = new Set(scheduled.filter(({ account }) => account.ca === ca).map(({ order }) => order));
  yield;
  const change = yield* joined(input, (order) => here.has(order));
  return yield* joinTrials(input, change, { limit: "newOrders", key }, "each registered domain", () => true);
}

function* allJoined(input: PlanInput, domains: ReadonlySet<string>): Stepwise<Trial[]> {
  const concerns = (order: PlanOrder): boolean => order.domains.some((domain) => domains.has(domain));
  const about = `each of the ${thousands(domains.size)} registered domains that wait`;
  return yield* joinTrials(
    input,
    yield* joined(input, concerns),
    { limit: "certificatesPerDomain", key: "" },
    about,
    concerns,
  );
}

function* joinTrials(
  input: PlanInput,
  { orders, names, certificates, stands }: Regrouped,
  about: Pick<Advice, "limit" | "key">,
  whose: string,
  concerns: Trial["concerns"],
): Stepwise<Trial[]> {
  if (stands.size === 0) return [];
  yield;
  return [
    {
      advice: { kind: "join", ...about, names, orders: certificates },
      text: `Put the names of ${whose} together as SANs, ${counted(names, "name")} in ${counted(certificates, "certificate")}`,
      scheduled: yield* schedule({ ...input, orders }),
      concerns,
      stands,
    },
  ];
}

/** So high a limit that it holds nobody any more. */
function* override(
  input: PlanInput,
  scheduled: readonly Placement[],
  { limit, key, ca }: LimitWait,
): Stepwise<Trial[]> {
  const subject = limit === "newOrders" ? "" : key;
  const account = input.accounts.find((one) => one.ca === ca);
  const allowed = account?.limit(limit, subject);
  if (!account || !allowed) return [];
  const spends = ({ domains, exempt }: PlanOrder): boolean =>
    exempt !== true && (limit === "newOrders" || domains.includes(subject));
  const freed = yield* schedule({ ...input, accounts: lifted(input.accounts, ca, limit, subject) });
  const times = freed.filter((one) => one.account.ca === ca && spends(one.order)).map(({ at }) => at);
  yield;
  const count = yield* neededCount(times, allowed, {
    state: account.bucket(limit, subject),
    now: input.now,
    inHand: limit === "newOrders" ? 1 : 0,
  });
  const own = scheduled.filter((one) => one.order.reported && one.account.ca === ca && spends(one.order));
  const names = own.reduce((sum, { order }) => sum + namesOf(order).length, 0);
  const what =
    limit === "newOrders" ? `${thousands(count)} new orders` : `${thousands(count)} certificates of ${key}`;
  const form = FORMS[ca];
  return [
    {
      advice: { kind: "override", limit, key, names, orders: own.length },
      text: `Ask ${ca} to allow ${what} in ${humanDuration(allowed.period)}${form ? ` (${form})` : ""}`,
      scheduled: freed,
      concerns: spends,
      stands: NONE,
    },
  ];
}

/** An advice spares at least this part of the time: a day less of five weeks is not worth a change. */
const PART = 0.05;

/** When those that it is about, and all together, would be done, and how long the names wait in sum. */
interface Outcome {
  own: number;
  all: number;
  sum: number;
}

function outcome(
  scheduled: readonly Placement[],
  { concerns, stands }: Pick<Trial, "concerns" | "stands">,
): Outcome {
  let own = 0;
  let all = 0;
  let sum = 0;
  for (const { order, at } of scheduled) {
    if (!order.reported) continue;
    all = Math.max(all, at);
    if (concerns(order)) own = Math.max(own, at);
    sum += at * (stands.get(order) ?? namesOf(order).length);
  }
  return { own, all, sum };
}

/** Those that help, the ones first with which all is finished first, and then those that spare names the most waiting. */
function* helpful(
  trials: readonly Trial[],
  scheduled: readonly Placement[],
  { now, settle }: PlanInput,
): Stepwise<Advice[]> {
  const seen = new Set<string>();
  const outcomes: { trial: Trial; before: Outcome; after: Outcome }[] = [];
  for (const trial of trials) {
    const before = outcome(scheduled, { ...trial, stands: NONE });
    yield;
    outcomes.push({ trial, before, after: outcome(trial.scheduled, trial) });
    yield;
  }
  return outcomes
    .flatMap(({ trial, before, after }) => {
      const worth = (until: number): number => Math.max(WORTH, (until - now) * PART);
      const sooner = before.all - after.all >= worth(before.all);
      if (!sooner && (before.own - after.own < worth(before.own) || after.all - before.all >= WORTH))
        return [];
      const done = sooner
        ? `all is done by ${minute(after.all + settle)} UTC instead of ${minute(before.all + settle)}`
        : `that part is done by ${minute(after.own + settle)} UTC instead of ${minute(before.own + settle)}`;
      const finishesAt = after.all + settle;
      // Where one domain alone can be joined, joining all comes to the same.
      const what = `${trial.advice.kind} ${trial.advice.names} ${finishesAt}`;
      if (seen.has(what) && trial.advice.kind === "join") return [];
      seen.add(what);
      const advice: Advice = { ...trial.advice, finishesAt, text: `${trial.text}: ${done}.` };
      return [{ advice, sum: after.sum }];
    })
    .sort((a, b) => a.advice.finishesAt - b.advice.finishesAt || a.sum - b.sum)
    .slice(0, MOST)
    .map(({ advice }) => advice);
}
