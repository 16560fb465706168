import { admitHandler } from "../issuance/admit.ts";
import { orderHandler } from "../issuance/order.ts";
import type { IssuanceDeps } from "../issuance/ports.ts";
import { consume } from "../queue/consumer.ts";
import { queueNames } from "../queue/names.ts";
import { RespondersInRedis } from "../respond/directory.ts";
import { CaAccount } from "./accounts.ts";
import type { House } from "./house.ts";
import type { Service } from "./service.ts";

/** Orders worked on at once in one process: their steps are short, as waiting is done in the queue. */
const CONCURRENCY = 50;

/** Admits and orders for every CA of the configuration. */
export async function startIssue(house: House): Promise<Service> {
  const services = await Promise.all(
    house.config.cas.map((ca) =>
      startAccount(house, new CaAccount(ca, house.config.home, house.redis, house.clock)),
    ),
  );
  return {
    close: async () => {
      await Promise.all(services.map((service) => service.close()));
    },
  };
}

async function startAccount(house: House, account: CaAccount): Promise<Service> {
  const { redis, producer, log } = house;
  const deps = issuanceDeps(house, account);
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
    handle: admitHandler(deps),
    onFault,
  });
  const order = consume({
    queue: queueNames.order(account.name),
    redis,
    concurrency: CONCURRENCY,
    handle: orderHandler(deps),
    onFault,
  });
  return {
    close: async () => {
      await Promise.all([admit.close(), order.close()]);
      await account.close();
    },
  };
}

function issuanceDeps(house: House, account: CaAccount): IssuanceDeps {
  const { stops, challenges, certificates, certificateFiles, producer, notifier, clock, config, tell } =
    house;
  return {
    account,
    stops,
    challenges,
    certificates,
    files: certificateFiles,
    producer,
    listener: notifier,
    clock,
    retry: config.retry,
    tell,
    responders: new RespondersInRedis(house.responders, clock),
  };
}
