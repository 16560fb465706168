import { type CertificateRecord, PRIORITY } from "../core/certificate.ts";
import { asAppError } from "../core/errors.ts";
import { noteEarly } from "../renewal/incident.ts";
import { firstPlan, type Polled, RENEWAL, type RenewalPolicy } from "../renewal/policy.ts";
import type { RenewalDeps } from "../renewal/ports.ts";
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

/** The CA that a certificate is from, which may exempt its renewal; undefined when that is not configured any more. */
export function caOf({ config }: Pick<House, "config">, { leaf }: CertificateRecord): string | undefined {
  return config.cas.find(({ name }) => name === leaf?.ca)?.name;
}

/** What looking at renewals works with. `accounts`: opened and closed by the caller. */
export function renewalDeps(house: House, accounts: readonly CaAccount[]): RenewalDeps {
  const { certificates, certificateFiles, enqueuer, clock, notifier, incidents } = house;
  return {
    certificates,
    clock,
    policy: renewalPolicy(house),
    random: Math.random,
    ask: (record) => {
      const account = accounts.find(({ name }) => name === record.leaf?.ca);
      const certId = record.leaf?.certId;
      return account && certId !== undefined ? ask(account, certId) : undefined;
    },
    keep: async (plans) => {
      for (const { id, serial, renewAt, schedule } of plans)
        await certificateFiles.savePlan(id, { serial, renewAt, schedule });
    },
    enqueue: async (records, { urgent }) => {
      await enqueuer.enqueue(
        records.map(({ spec }) => spec),
        {
          force: true,
          renewal: true,
          accounts: records.map((record) => caOf(house, record)),
          ...(urgent ? { priority: PRIORITY.urgent } : {}),
        },
      );
    },
    noteEarly: (early, asked) => noteEarly({ clock, incidents }, early, asked),
    warn: (records, write) => notifier.warnAbout(records, write),
  };
}

async function ask(account: CaAccount, certId: string): Promise<Polled> {
  try {
    const info = await account.renewalInfo(certId);
    return info ? { kind: "info", ...info } : { kind: "unsupported" };
  } catch (thrown) {
    const { disposition, retryAt } = asAppError(thrown);
    const lasting = disposition !== "transient" && disposition !== "limit";
    return { kind: "failed", lasting, ...(retryAt === undefined ? {} : { retryAt }) };
  }
}
