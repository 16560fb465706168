import type { CertificateLimit } from "./table.ts";

/** Which bucket a CA's refusal is about. */
export interface Refusal {
  limit: CertificateLimit;
  /** A registered domain or a name; "" where the limit has none, or the sentence does not name it. */
  subject: string;
}

/**
 * Boulder says in a sentence, and nowhere else, which limit was met (ratelimits/limiter.go, Decision.Result). Other CAs
 * have other sentences, or none: then it is taken for the account's limit on new orders, the one that all have.
 */
const SENTENCES: readonly (readonly [RegExp, CertificateLimit])[] = [
  [/too many failed authorizations\b.*? for "([^"]*)"/i, "failedAuthorizations"],
  [/too many certificates\b.*? exact set of/i, "certificatesPerNameSet"],
  [/too many certificates\b.*? for "([^"]*)"/i, "certificatesPerDomain"],
  [/too many new registrations\b/i, "newRegistrations"],
];

export function refusalOf(sentence: string): Refusal {
  for (const [pattern, limit] of SENTENCES) {
    const match = pattern.exec(sentence);
    if (match) return { limit, subject: (match[1] ?? "").toLowerCase() };
  }
  return { limit: "newOrders", subject: "" };
}
