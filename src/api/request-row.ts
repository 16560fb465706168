import type { CertificateSpec } from "../core/certificate.ts";
import { COLUMNS, DOMAIN } from "../intake/columns.ts";
import type { ImportDeps } from "../intake/import.ts";
import { checkRow, type Fault } from "../intake/row.ts";
import { type FieldError, RequestError } from "./problems.ts";
import type { CertificateRequest } from "./schemas/certificates.ts";

/** The body's fields, by the columns that stand for the same in a CSV. */
const FIELDS: Readonly<Record<string, string>> = {
  [DOMAIN]: "names",
  [COLUMNS.vipPort.name]: "vipPort",
  [COLUMNS.acmePort.name]: "acmePort",
  [COLUMNS.from.name]: "mail.from",
  [COLUMNS.to.name]: "mail.to",
  [COLUMNS.relay.name]: "mail.relay",
  [COLUMNS.relayPort.name]: "mail.port",
  [COLUMNS.ca.name]: "ca",
  [COLUMNS.profile.name]: "profile",
  [COLUMNS.keyType.name]: "keyType",
  [COLUMNS.challenge.name]: "challenge",
  [COLUMNS.priority.name]: "priority",
};

/** Columns whose names are no words, so that they can be told from the rest of a sentence. */
const IN_SENTENCES = /\b(?:FROMAddr|TOAddr|RELAYAddr|RELAYPort|VIPPort|ACMEPort)\b/g;

/** The certificate that a body asks for, by the rules for a row of a CSV; throws with all that is wrong. */
export function specOf(body: CertificateRequest, context: ImportDeps["context"]): CertificateSpec {
  const result = checkRow(cellsOf(body), { ...context, line: 1 });
  if ("spec" in result) return result.spec;
  throw new RequestError(
    422,
    "invalid_certificate",
    "This certificate cannot be ordered as it was asked for.",
    result.faults.map(fieldError),
  );
}

function cellsOf(body: CertificateRequest): Record<string, string> {
  const { names, vipPort, acmePort, mail, ca, profile, keyType, challenge, priority } = body;
  const values: Record<string, string | number | undefined> = {
    [DOMAIN]: names.join(" "),
    [COLUMNS.vipPort.name]: vipPort,
    [COLUMNS.acmePort.name]: acmePort,
    [COLUMNS.from.name]: mail?.from,
    [COLUMNS.to.name]: mail?.to,
    [COLUMNS.relay.name]: mail?.relay,
    [COLUMNS.relayPort.name]: mail?.port,
    [COLUMNS.ca.name]: ca,
    [COLUMNS.profile.name]: profile,
    [COLUMNS.keyType.name]: keyType,
    [COLUMNS.challenge.name]: challenge,
    [COLUMNS.priority.name]: priority,
  };
  return Object.fromEntries(
    Object.entries(values).flatMap(([column, value]) =>
      value === undefined ? [] : [[column, String(value)]],
    ),
  );
}

function fieldError({ column, value, reason }: Fault): FieldError {
  return {
    field: FIELDS[column] ?? column,
    value,
    reason: reason.replace(IN_SENTENCES, (name) => FIELDS[name] ?? name),
  };
}
