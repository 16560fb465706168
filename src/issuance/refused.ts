import { type CertificateRecord, namesKey } from "../core/certificate.ts";
import type { AppError } from "../core/errors.ts";
import { bucketsOf } from "../limits/buckets.ts";
import { refusalOf } from "../limits/refusals.ts";
import type { OrderJob } from "../queue/names.ts";
import { backToAdmission } from "./admit.ts";
import type { IssuanceDeps } from "./ports.ts";
import { exemptionNow } from "./replaces.ts";

/** Milliseconds until what the CA has refused without saying for how long is asked for again. */
export const UNTOLD = 60_000;

/** The CA counts more than we do, as another client may have used the account: our count is set right. */
export async function refusedByCa(
  deps: IssuanceDeps,
  record: CertificateRecord,
  job: OrderJob,
  error: AppError,
): Promise<void> {
  const { account, clock } = deps;
  const { limit, subject } = refusalOf(error.message);
  const now = clock.now();
  const at = error.retryAt ?? now + UNTOLD;
  switch (limit) {
    case "newOrders":
    case "certificatesPerDomain":
    case "certificatesPerNameSet": {
      const key = limit === "certificatesPerNameSet" ? namesKey(record.spec.names) : subject;
      await account.ledger.exhausted(limit, key, at - now);
      // A bucket that we do not count this order in holds it back no more than before: it waits by itself.
      const exemption = exemptionNow(deps, record, job);
      const counted = bucketsOf(record.spec.names, account.ledger.limits, exemption).some(
        (bucket) => bucket.limit === limit && bucket.subject === key,
      );
      return await backToAdmission(deps, record, job, counted ? undefined : at);
    }
    case "newRegistrations":
    case "failedAuthorizations":
    case "consecutiveFailures":
      // Not of the order's buckets: it stands in line again when the CA has said.
      return await backToAdmission(deps, record, job, at);
  }
}

/** What the CA has paused is not asked for by any other certificate either. */
export async function parkNames(
  { account }: IssuanceDeps,
  { spec }: CertificateRecord,
  error: AppError,
): Promise<void> {
  const words = error.message.toLowerCase();
  const named = spec.names.filter((name) =>
    new RegExp(`(?<![\\w.-])${literally(name)}(?![\\w-])`).test(words),
  );
  const { message: detail, url } = error;
  await account.ledger.pause(named.length > 0 ? named : spec.names, { detail, ...(url ? { url } : {}) });
}

function literally(name: string): string {
  return name.replace(/[.*]/g, "\\$&");
}
