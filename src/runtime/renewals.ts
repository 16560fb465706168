import { type CertificateRecord, PRIORITY } from "../core/certificate.ts";
import { asAppError } from "../core/errors.ts";
import { noteEarly } from "../renewal/incident.ts";
import { firstPlan, type Polled, RENEWAL, type RenewalPolicy } from "../renewal/policy.ts";
import type { RenewalDeps } from "../renewal/ports.ts";
import type { Accepted } from "../store/certificates.ts";
import { readable } from "../store/settlement.ts";
import type { CaAccount } from "./accounts.ts";
import type { House } from "./house.ts";

/** When certificates are renewed, as configured. */
export function renewalPolicy({ config: { renewal } }: Pick<House, "config">): RenewalPolicy {
  const { renewBefore, warn, poll } = renewal;
  return {
    ...(renewBefore === undefined ? {} : { renewBefore }),
    warn: warn ?? RENEWAL.warn,
    poll: { ...RENEWAL.poll, ...poll },
  };
}

/** What a new leaf is given. */
export function renewalSchedule(house: Pick<House, "config">) {
  const policy = renewalPolicy(house);
  return {
    reuseKey: house.config.renewal.reuseKey,
    first: (leaf: { notBefore: number; notAfter: number }, { spec }: CertificateRecord, now: number) =>
      firstPlan(leaf, spec.names[0] ?? "", now, policy),
  };
}

/**
 * Where a certificate is renewed: at the CA that it asks for, else the one that it is from, which may exempt its renewal,
 * else the first one of the configuration.
 */
export function caOf({ config }: Pick<House, "config">, { spec, leaf }: CertificateRecord): string {
  const isConfigured = (wanted: string | undefined) => config.cas.some(({ name }) => name === wanted);
  return [spec.ca, leaf?.ca].find(isConfigured) ?? config.cas[0].name;
}

/** What looking at renewals works with. `accounts`: opened and closed by the caller. */
export function renewalDeps(house: House, accounts: readonly CaAccount[]): RenewalDeps {
  const { certificates, certificateFiles, enqueuer, clock, notifier, incidents } = house;
  const outages = new Map<string, Outage>();
  return {
    certificates,
    renewals: house.renewals,
    clock,
    policy: renewalPolicy(house),
    random: Math.random,
    ask: (record) => {
      const account = accounts.find(({ name }) => name === record.leaf?.ca);
      const certId = record.leaf?.certId;
      if (!account || certId === undefined) return undefined;
      return askUnlessDead(account, certId, outages, () => clock.now());
    },
    keep: async (plans) => {
      // One that cannot be written keeps no other from being renewed; it is chosen anew should Redis be lost.
      for (const { id, serial, renewAt, schedule } of plans)
        await certificateFiles
          .savePlan(id, { serial, renewAt, schedule })
          .catch((error: Error) => house.log(`${id}: its plan cannot be written: ${error.message}`));
    },
    enqueue: async (records, { urgent }) => {
      await enqueuer.enqueue(
        records.map(({ spec }) => spec),
        {
          force: true,
          renewal: true,
          accounts: records.map((record) => caOf(house, record)),
          renews: records.map(({ leaf }) => leaf?.serial),
          beforeAdmission: (accepted) => resumeOrders(house, accepted),
          ...(urgent ? { priority: PRIORITY.urgent } : {}),
        },
      );
    },
    noteEarly: (early, asked) => noteEarly({ clock, incidents }, early, asked),
    warn: async (records, write) => {
      house.log(`${write(records).title}.`);
      await notifier.warnAbout(records, write);
    },
  };
}

/** An order that was in flight when Redis was lost has been paid for: the renewal goes on with it. */
async function resumeOrders(
  { certificates, certificateFiles, config }: House,
  accepted: readonly Accepted[],
): Promise<void> {
  for (const { id, generation } of accepted) {
    const order = await readable(certificateFiles.pendingOrder(id));
    const isKnown = config.cas.some(({ name }) => name === order?.ca);
    if (order && isKnown && order.generation === generation)
      await certificates.claimOrder(id, generation, order.orderUrl);
  }
}

/** Certificates in a row of which a CA could not be asked, and for how many milliseconds it is left alone then. */
const DEAD = 5;
const LEFT_ALONE = 60_000;

interface Outage {
  failures: number;
  at: number;
}

/** A CA that does not answer costs its time-out once in a while, not for every certificate. */
async function askUnlessDead(
  account: CaAccount,
  certId: string,
  outages: Map<string, Outage>,
  now: () => number,
): Promise<Polled> {
  const outage = outages.get(account.name);
  if (outage && outage.failures >= DEAD && now() - outage.at < LEFT_ALONE)
    return { kind: "failed", lasting: false };
  const polled = await ask(account, certId);
  if (polled.kind === "failed" && !polled.lasting)
    outages.set(account.name, { failures: (outages.get(account.name)?.failures ?? 0) + 1, at: now() });
  else outages.delete(account.name);
  return polled;
}

async function ask(account: CaAccount, certId: string): Promise<Polled> {
  try {
    const info = await account.renewalInfo(certId);
    account.countPoll(info ? "info" : "unsupported");
    return info ? { kind: "info", ...info } : { kind: "unsupported" };
  } catch (thrown) {
    const { disposition, retryAt } = asAppError(thrown);
    const lasting = disposition !== "transient" && disposition !== "limit";
    account.countPoll(lasting ? "refused" : "failed");
    return { kind: "failed", lasting, ...(retryAt === undefined ? {} : { retryAt }) };
  }
}
