import type { Actions, Reopening } from "../api/deps.ts";
import { type CertificateRecord, isRetriable } from "../core/certificate.ts";
import { type AppError, asAppError, usageError } from "../core/errors.ts";
import { renewable, reopenAccounts, retryFailed } from "./acting.ts";
import type { House } from "./house.ts";
import { pauseCertificate, resumeCertificate } from "./pausing.ts";
import { removeAndWait } from "./remove-and-wait.ts";
import { revokeAndOrder } from "./revoking.ts";

/** Milliseconds for which a removal's nodes are waited for before the answer says that they still owe it. */
const PATIENCE = 3_000;

/** What the commands do, for the API. */
export function apiActions(house: House): Actions {
  const renewAll = (records: readonly CertificateRecord[]) => renewEach(house, records);
  const retryAll = (records: readonly CertificateRecord[], request: Reopening) =>
    retryEach(house, records, request);
  return {
    renew: (record) => only(renewAll([record])),
    retry: (record, request) => only(retryAll([record], request)),
    renewAll,
    retryAll,
    pause: (record) => pauseCertificate(house, record),
    resume: (record) => resumeCertificate(house, record),
    revoke: (record, request) => revokeAndOrder(house, record, request),
    remove: (record, { revoke, wait }) => removeAndWait(house, record, { revoke, max: wait ? PATIENCE : 0 }),
  };
}

async function only(outcomes: Promise<(AppError | undefined)[]>): Promise<void> {
  const [error] = await outcomes;
  if (error) throw error;
}

/** As one import, with one digest. */
async function renewEach(
  house: House,
  records: readonly CertificateRecord[],
): Promise<(AppError | undefined)[]> {
  const errors = records.map((record) => {
    try {
      renewable(record);
      return undefined;
    } catch (thrown) {
      return asAppError(thrown);
    }
  });
  const wanted = records.filter((_, index) => errors[index] === undefined);
  const what = wanted.length === 1 ? wanted[0]?.spec.names[0] : `${wanted.length} certificates`;
  if (wanted.length > 0) await house.orderAgain(one(wanted), `renewal of ${what} over HTTP`);
  return errors;
}

async function retryEach(
  house: House,
  records: readonly CertificateRecord[],
  { reopen }: Reopening,
): Promise<(AppError | undefined)[]> {
  if (reopen) await reopenAccounts(house);
  await retryFailed(house, records);
  return records.map((record) =>
    isRetriable(record)
      ? undefined
      : usageError(
          "not_failed",
          `${record.spec.names[0]} has not failed (${record.status}): there is nothing to try again.`,
        ),
  );
}

async function* one(records: readonly CertificateRecord[]): AsyncGenerator<readonly CertificateRecord[]> {
  yield records;
}
