import type { CertificateLimit } from "../limits/table.ts";

/** The limits' names for a person. */
export const LIMIT_WORDS: Record<CertificateLimit, string> = {
  newRegistrations: "new accounts",
  newOrders: "new orders",
  certificatesPerDomain: "certificates per domain",
  certificatesPerNameSet: "certificates per set of names",
  failedAuthorizations: "failed validations",
  consecutiveFailures: "failures in a row",
};
