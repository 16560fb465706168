import { accountOf, type CertificateRecord, holderOf, namesKey } from "../core/certificate.ts";
import { Ledger } from "../limits/ledger.ts";
import { type SettlementDeps, settle } from "../store/settlement.ts";
import type { House } from "./house.ts";

/** How often a pause is tried that was overtaken by a next try. */
const TRIES = 5;

/** Nothing is done for it until it is resumed. False when it was paused already. */
export async function pauseCertificate(house: House, { id }: CertificateRecord): Promise<boolean> {
  for (let tries = 0; tries < TRIES; tries++) {
    const record = await house.certificates.get(id);
    if (!record || record.status === "paused" || record.status === "removed") return false;
    const change = { status: "paused", reason: "person", event: { what: "paused" } } as const;
    if (!(await settle(settlementDeps(house), record, change))) continue;
    // Its jobs go last: one that is left over finds it paused, and ends.
    const account = accountOf(record, house.config.cas[0].name);
    await house.producer.withdraw(account, record);
    if (record.orderUrl === undefined) await ledgerOf(house, account).release(holderOf(record));
    return true;
  }
  return false;
}

/** What has been done about one that was paused: queued again, or found to be all right. */
export type Resumed = "queued" | "issued" | undefined;

/** Takes it up again, and forgets that the CA has paused its names. Undefined when it was not paused at all. */
export async function resumeCertificate(house: House, record: CertificateRecord): Promise<Resumed> {
  const account = accountOf(record, house.config.cas[0].name);
  const byCa = record.status === "attention" && record.error?.code === "paused_by_ca";
  if (record.status !== "paused" && !byCa) return undefined;
  await ledgerOf(house, account).unpause(record.spec.names);
  const at = house.clock.now();
  if (!byCa && isGood(record, at)) {
    const status = house.rollouts.deploys(record.spec.vipPort) ? "deploying" : "issued";
    // It may have been paused while it was being renewed: nothing is wanted any more but its deployment.
    const leaf = record.leaf && { leaf: { ...record.leaf, generation: record.generation } };
    const change = { status, ...leaf, resumes: true, event: { what: "resumed" } } as const;
    if (!(await settle(settlementDeps(house), record, change))) return undefined;
    await house.rollouts.advance([{ ...record, status, ...leaf }]);
    return "issued";
  }
  await house.importFiles.appendSingle([{ line: 0, at, spec: record.spec, force: true }], at);
  await house.enqueuer.enqueue([record.spec], { force: true });
  return "queued";
}

/** Its certificate is for its names, and not due for renewal: there is nothing to be ordered. */
function isGood({ leaf, spec }: CertificateRecord, now: number): boolean {
  return leaf?.set === namesKey(spec.names) && leaf.renewAt > now;
}

export function settlementDeps({ certificates, certificateFiles, notifier, clock }: House): SettlementDeps {
  return { certificates, files: certificateFiles, listener: notifier, clock };
}

export function ledgerOf(house: House, account: string): Ledger {
  const limits = (house.config.cas.find(({ name }) => name === account) ?? house.config.cas[0]).limits;
  return new Ledger(house.redis, account, limits);
}
