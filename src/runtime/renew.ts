import type { CertificateRecord } from "../core/certificate.ts";
import { renewDue } from "../renewal/due.ts";
import type { House } from "./house.ts";
import type { Service } from "./service.ts";

/** Milliseconds between two looks at what is due. */
const LOOK = 10_000;

/** Renews certificates when a third of their lifetime is left. */
export function startRenew(house: House): Service {
  const { certificates, enqueuer, clock, log, redis } = house;
  const deps = {
    certificates,
    enqueue: async (records: readonly CertificateRecord[]): Promise<void> => {
      await enqueuer.enqueue(
        records.map(({ spec }) => spec),
        { force: true },
      );
    },
  };
  let turn = Promise.resolve();
  const look = async (): Promise<void> => {
    if (redis.status !== "ready") return;
    const queued = await renewDue(deps, clock.now());
    if (queued > 0) log(`Renewing ${queued} certificates.`);
  };
  const timer = setInterval(() => {
    turn = turn.then(look).catch((error: Error) => log(error.message));
  }, LOOK);
  return {
    close: async () => {
      clearInterval(timer);
      await turn;
    },
  };
}
