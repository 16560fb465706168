import type { CertificateRecord } from "../core/certificate.ts";
import { renewDue } from "../renewal/due.ts";
import type { House } from "./house.ts";
import { every, type Service } from "./service.ts";

/** Milliseconds between two looks at what is due. */
const LOOK = 10_000;

/** Renews certificates when a third of their lifetime is left. */
export function startRenew(house: House): Service {
  const { certificates, enqueuer, clock, log, config } = house;
  // At the CA that it is from, which may exempt it; unless that is not configured any more.
  const caOf = ({ leaf }: CertificateRecord): string | undefined =>
    config.cas.find(({ name }) => name === leaf?.ca)?.name;
  const deps = {
    certificates,
    enqueue: async (records: readonly CertificateRecord[]): Promise<void> => {
      await enqueuer.enqueue(
        records.map(({ spec }) => spec),
        { force: true, renewal: true, accounts: records.map(caOf) },
      );
    },
  };
  return every(LOOK, house, async () => {
    const queued = await renewDue(deps, clock.now());
    if (queued > 0) log(`Renewing ${queued} certificates.`);
  });
}
