import type { Actions } from "../api/deps.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import { usageError } from "../core/errors.ts";
import { renewable, reopenAccounts, retryFailed } from "./acting.ts";
import type { House } from "./house.ts";
import { pauseCertificate, resumeCertificate } from "./pausing.ts";
import { removeAndWait } from "./remove-and-wait.ts";
import { revokeAndOrder } from "./revoking.ts";

/** Milliseconds for which a removal's nodes are waited for before the answer says that they still owe it. */
const PATIENCE = 3_000;

/** What the commands do, for the API. */
export function apiActions(house: House): Actions {
  return {
    renew: async (record) => {
      await house.orderAgain(one(renewable(record)), `renewal of ${record.spec.names[0]} over HTTP`);
    },
    retry: async (record, { reopen } = { reopen: false }) => {
      const name = record.spec.names[0] ?? record.id;
      if (reopen) await reopenAccounts(house);
      if ((await retryFailed(house, [record])) === 0)
        throw usageError(
          "not_failed",
          `${name} has not failed (${record.status}): there is nothing to try again.`,
        );
    },
    pause: (record) => pauseCertificate(house, record),
    resume: (record) => resumeCertificate(house, record),
    revoke: (record, request) => revokeAndOrder(house, record, request),
    remove: (record, { revoke }) => removeAndWait(house, record, { revoke, max: PATIENCE }),
  };
}

async function* one(record: CertificateRecord): AsyncGenerator<readonly CertificateRecord[]> {
  yield [record];
}
