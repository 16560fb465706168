/** `count` tokens in a bucket that fills again within `period` milliseconds. */
export interface Limit {
  count: number;
  period: number;
}

export const CERTIFICATE_LIMITS = [
  "newOrders",
  "certificatesPerDomain",
  "certificatesPerNameSet",
  "failedAuthorizations",
] as const;
export type CertificateLimit = (typeof CERTIFICATE_LIMITS)[number];

/** Classes of endpoint that a CA limits by requests per IP address. */
export const REQUEST_CLASSES = ["directory", "newNonce", "newOrder", "acme"] as const;
export type RequestClass = (typeof REQUEST_CLASSES)[number];

export interface CaLimits {
  certificates: Partial<Record<CertificateLimit, Limit>>;
  /** Requests per second and IP address. */
  requests: Partial<Record<RequestClass, Limit>>;
}

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

/**
 * What the known CAs allow.
 * Let's Encrypt: https://letsencrypt.org/docs/rate-limits/ and /docs/staging-environment/; how the buckets
 * work: boulder, ratelimits/README.md.
 * Five failures an hour is also what a CA of which nothing is known gets: nobody needs more, and a loop of
 * failing validations is what makes a CA block an account.
 */
const FAILED: Limit = { count: 5, period: HOUR };

export const LIMITS: Readonly<Record<string, CaLimits>> = {
  letsencrypt: {
    certificates: {
      newOrders: { count: 300, period: 3 * HOUR },
      certificatesPerDomain: { count: 50, period: 7 * DAY },
      certificatesPerNameSet: { count: 5, period: 7 * DAY },
      failedAuthorizations: FAILED,
    },
    requests: {
      directory: { count: 40, period: SECOND },
      newNonce: { count: 20, period: SECOND },
      newOrder: { count: 300, period: SECOND },
      acme: { count: 250, period: SECOND },
    },
  },
  "letsencrypt-staging": {
    certificates: {
      newOrders: { count: 1_500, period: 3 * HOUR },
      certificatesPerNameSet: { count: 30_000, period: 7 * DAY },
      failedAuthorizations: { count: 200, period: HOUR },
    },
    requests: {
      directory: { count: 40, period: SECOND },
      newNonce: { count: 20, period: SECOND },
      newOrder: { count: 20, period: SECOND },
      acme: { count: 20, period: SECOND },
    },
  },
};

const UNKNOWN: CaLimits = { certificates: { failedAuthorizations: FAILED }, requests: {} };

/** The limits of a CA by its name, with what the configuration says differently. */
export function limitsOf(ca: string, overrides: Partial<Record<CertificateLimit, Limit>> = {}): CaLimits {
  const base = LIMITS[ca] ?? UNKNOWN;
  return { certificates: { ...base.certificates, ...overrides }, requests: base.requests };
}
