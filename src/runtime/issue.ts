import type { CaConfig } from "../config/load.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import { admitHandler } from "../issuance/admit.ts";
import { orderHandler } from "../issuance/order.ts";
import type { DnsChallenges, IssuanceDeps } from "../issuance/ports.ts";
import { consume } from "../queue/consumer.ts";
import { queueNames } from "../queue/names.ts";
import { RespondersInRedis } from "../respond/directory.ts";
import { CaAccount } from "./accounts.ts";
import { requireBindings } from "./bindings.ts";
import { Checks, startCheck } from "./check.ts";
import { DnsInHouse, startDnsSweep } from "./dns01.ts";
import type { House } from "./house.ts";
import { renewalSchedule } from "./renewals.ts";
import { startRooms } from "./rooms.ts";
import { type Service, together } from "./service.ts";
import { startTermsWatch } from "./terms.ts";

/** Orders worked on at once in one process: their steps are short, as waiting is done in the queue. */
const CONCURRENCY = 50;
/** Renewals admitted at once: they stand in no line, so there is no order to keep. */
const RENEWALS = 5;

/** Checks, admits and orders for every CA of the configuration. */
export async function startIssue(house: House): Promise<Service> {
  await requireBindings(house);
  const checks = new Checks(house);
  const dns = new DnsInHouse(house);
  const services = await Promise.all(house.config.cas.map((ca) => startAccount(house, checks, dns, ca)));
  // The checks are given up first: nobody waits for a name server at the end. What orders have set goes last.
  return together([
    startTermsWatch(house),
    startDnsSweep(house, dns),
    ...services,
    { close: async () => checks.close() },
  ]);
}

async function startAccount(house: House, checks: Checks, dns: DnsInHouse, ca: CaConfig): Promise<Service> {
  const { redis, producer, log, config, clock } = house;
  const account = new CaAccount(ca, config, redis, clock);
  const deps = issuanceDeps(house, account, (record) => checks.leadsHere(record, ca), dns);
  // A person who starts a worker has mended what stopped the account, or will read it again at once.
  await house.stops.lift(account.name);
  await producer.admitOneAtATime(account.name);
  const onFault = (error: Error, job: { id: string }): void =>
    log(`${job.id}: ${error.stack ?? error.message}`);
  const admit = consume({
    queue: queueNames.admit(account.name),
    redis,
    concurrency: 1,
    holdable: true,
    handle: admitHandler(deps, "admit"),
    onFault,
  });
  const renew = consume({
    queue: queueNames.renew(account.name),
    redis,
    concurrency: RENEWALS,
    handle: admitHandler(deps, "renew"),
    onFault,
  });
  const order = consume({
    queue: queueNames.order(account.name),
    redis,
    concurrency: CONCURRENCY,
    handle: orderHandler(deps),
    onFault,
  });
  const check = startCheck(house, checks, ca);
  const rooms = startRooms(house, ca);
  return {
    close: async () => {
      await Promise.all([check, rooms, admit, renew, order].map((service) => service.close()));
      await account.close();
    },
  };
}

/** What issuing with one account works with. */
export function issuanceDeps(
  house: House,
  account: CaAccount,
  leadsHere: (record: CertificateRecord) => Promise<boolean>,
  dns: DnsChallenges = new DnsInHouse(house),
): IssuanceDeps {
  const { stops, challenges, certificates, certificateFiles, producer, notifier, clock, config, tell } =
    house;
  const names = config.cas.map((ca) => ca.name);
  return {
    account,
    stops,
    challenges,
    dns,
    certificates,
    files: certificateFiles,
    producer,
    listener: notifier,
    clock,
    retry: config.retry,
    patience: config.patience,
    tell,
    warn: (record, subject, detail) => notifier.warn(record, subject, detail),
    responders: new RespondersInRedis(house.responders, clock),
    leadsHere,
    renewals: renewalSchedule(house),
    onward: house.rollouts,
    spill: {
      after: config.spillAfter,
      next: ({ spec }, name) => (spec.ca === undefined ? names[names.indexOf(name) + 1] : undefined),
    },
  };
}
