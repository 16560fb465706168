import { type CertificateRecord, holderOf } from "../core/certificate.ts";
import type { AppError } from "../core/errors.ts";
import type { BreakerScope } from "../limits/breaker.ts";
import type { IssuanceDeps } from "./ports.ts";

interface Kind {
  scope: BreakerScope;
  /** What may have one cause, however it shows. */
  group: string;
}

const PATH: Kind = { scope: "validation", group: "path" };
const CA: Kind = { scope: "ca", group: "down" };

/**
 * Failures that may have nothing to do with the certificate: in a row, they tell that something is broken for all.
 * A CAA record, a refused name, a limit are the certificate's own.
 */
const KINDS: Readonly<Record<string, Kind>> = {
  connection: PATH,
  unauthorized: PATH,
  incorrect_response: PATH,
  tls: PATH,
  no_responder: PATH,
  dns: { scope: "validation", group: "dns" },
  server_internal: CA,
  ca_unreachable: CA,
  ca_answer: CA,
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
  { code, disposition, message }: AppError,
): Promise<void> {
  const kind = KINDS[code] ?? (/^http_5\d\d$/.test(code) ? CA : undefined);
  const holder = holderOf(record);
  if (kind === undefined || disposition === "account") return await account.breaker.ended(holder);
  if (!(await account.breaker.failed(holder, { ...kind, code, detail: message }))) return;
  const subject = `Orders from ${account.name} are paused`;
  const detail = `${WHAT[kind.scope]}. One certificate at a time tries again, and all go on when it succeeds. The last failure: ${message}`;
  tell(`${subject}: ${detail}`);
  await warn(record, subject, `${subject}: ${detail}`);
}
