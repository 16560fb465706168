import { type CertificateRecord, holderOf } from "../core/certificate.ts";
import type { AppError } from "../core/errors.ts";
import type { BreakerScope } from "../limits/breaker.ts";
import type { IssuanceDeps } from "./ports.ts";

/**
 * Failures that may have nothing to do with the certificate: in a row, they tell that something is broken for all.
 * A CAA record, a name that does not exist, a refused name are the certificate's own.
 */
const SCOPES: Readonly<Record<string, BreakerScope>> = {
  connection: "validation",
  unauthorized: "validation",
  incorrect_response: "validation",
  tls: "validation",
  dns: "validation",
  no_responder: "validation",
  server_internal: "ca",
  ca_unreachable: "ca",
  ca_answer: "ca",
};

const WHAT: Record<BreakerScope, string> = {
  ca: "it does not answer as it should",
  validation:
    "the names cannot be validated; look at port 80 of the load balancer, and what leads from it to Certherd",
};

/** Counts a failure with those before it. The one that opens the circuit breaker is told, once. */
export async function countFailure(
  { account, tell, warn }: IssuanceDeps,
  record: CertificateRecord,
  error: AppError,
): Promise<void> {
  const scope = SCOPES[error.code] ?? (/^http_5\d\d$/.test(error.code) ? "ca" : undefined);
  if (scope === undefined || error.disposition === "account") return;
  if (!(await account.breaker.failed(holderOf(record), scope, error.code, error.message))) return;
  const subject = `Orders from ${account.name} are paused`;
  const detail = `${WHAT[scope]}. One certificate at a time tries again, and all go on when it succeeds. The last failure: ${error.message}`;
  tell(`${subject}: ${detail}`);
  await warn(record, subject, `${subject}: ${detail}`);
}
