import { accountOf, type CertificateRecord, holderOf } from "../core/certificate.ts";
import { Ledger } from "../limits/ledger.ts";
import { settle } from "../store/settlement.ts";
import type { House } from "./house.ts";

/** Nothing is done for it until it is resumed. False when it was paused already. */
export async function pauseCertificate(house: House, record: CertificateRecord): Promise<boolean> {
  if (record.status === "paused" || record.status === "removed") return false;
  const { certificates, certificateFiles, notifier, clock, producer } = house;
  const account = accountOf(record, house.config.cas[0].name);
  const deps = { certificates, files: certificateFiles, listener: notifier, clock };
  const change = { status: "paused", reason: "person", event: { what: "paused" } } as const;
  await settle(deps, record, change);
  // Its job goes last: one that is left over finds it paused, and ends.
  await producer.withdraw(account, record);
  if (record.orderUrl === undefined) await ledgerOf(house, account).release(holderOf(record));
  return true;
}

/** Queues it again, and forgets that the CA has paused its names. False when it was not paused at all. */
export async function resumeCertificate(house: House, record: CertificateRecord): Promise<boolean> {
  const account = accountOf(record, house.config.cas[0].name);
  const byCa = record.status === "attention" && record.error?.code === "paused_by_ca";
  if (record.status !== "paused" && !byCa) return false;
  await ledgerOf(house, account).unpause(record.spec.names);
  const at = house.clock.now();
  await house.importFiles.appendSingle([{ line: 0, at, spec: record.spec }], at);
  await house.enqueuer.enqueue([record.spec], { force: true });
  return true;
}

function ledgerOf(house: House, account: string): Ledger {
  const limits = (house.config.cas.find(({ name }) => name === account) ?? house.config.cas[0]).limits;
  return new Ledger(house.redis, account, limits);
}
