/** `count` tokens in a bucket that fills again within `period` milliseconds. */
export interface Limit {
  count: number;
  period: number;
}

export const CERTIFICATE_LIMITS = [
  "newRegistrations",
  "newOrders",
  "certificatesPerDomain",
  "certificatesPerNameSet",
  "failedAuthorizations",
  "consecutiveFailures",
] as const;
export type CertificateLimit = (typeof CERTIFICATE_LIMITS)[number];

/** The limits that an order takes a token of, in the order in which they are looked at. */
export type OrderLimit = "newOrders" | "certificatesPerDomain" | "certificatesPerNameSet";

/** Classes of endpoint that a CA limits by requests per IP address. */
export const REQUEST_CLASSES = [
  "directory",
  "newNonce",
  "newOrder",
  "renewalInfo",
  "revokeCert",
  "acme",
] as const;
export type RequestClass = (typeof REQUEST_CLASSES)[number];

export interface CaLimits {
  certificates: Partial<Record<CertificateLimit, Limit>>;
  /** Certificates per registered domain where the CA has granted a domain another number. */
  domains: Readonly<Record<string, Limit>>;
  /** Requests per second and IP address. */
  requests: Partial<Record<RequestClass, Limit>>;
  /**
   * Whether a new certificate for the very set of names that this CA has certified within 120 days takes no token of
   * new orders and registered domains (https://letsencrypt.org/docs/rate-limits/#non-ari-renewals).
   */
  renewalsExempt: boolean;
}

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;
const perSecond = (count: number): Limit => ({ count, period: SECOND });

/** Five failures an hour is also what a CA gets of which nothing is known: nobody needs more, and a loop of failing
 * validations is what makes a CA block an account. */
const FAILED: Limit = { count: 5, period: HOUR };

/**
 * What the known CAs allow.
 * Let's Encrypt: https://letsencrypt.org/docs/rate-limits/ and /docs/staging-environment/; which bucket is spent when:
 * boulder, ratelimits/README.md and ratelimits/transaction.go; requests per second: /docs/rate-limits/#overall-requests.
 * ZeroSSL and Google publish no number for ACME; their answers (429 with Retry-After) are what tells.
 */
export const LIMITS: Readonly<Record<string, CaLimits>> = {
  letsencrypt: {
    certificates: {
      newRegistrations: { count: 10, period: 3 * HOUR },
      newOrders: { count: 300, period: 3 * HOUR },
      certificatesPerDomain: { count: 50, period: 7 * DAY },
      certificatesPerNameSet: { count: 5, period: 7 * DAY },
      failedAuthorizations: FAILED,
      // One back a day: https://letsencrypt.org/docs/rate-limits/#consecutive-authorization-failures-per-identifier-per-account
      consecutiveFailures: { count: 1_152, period: 1_152 * DAY },
    },
    domains: {},
    requests: {
      directory: perSecond(40),
      newNonce: perSecond(20),
      newOrder: perSecond(300),
      renewalInfo: perSecond(1_000),
      revokeCert: perSecond(10),
      acme: perSecond(250),
    },
    renewalsExempt: true,
  },
  "letsencrypt-staging": {
    certificates: {
      newRegistrations: { count: 50, period: 3 * HOUR },
      newOrders: { count: 1_500, period: 3 * HOUR },
      certificatesPerDomain: { count: 30_000, period: SECOND },
      certificatesPerNameSet: { count: 30_000, period: 7 * DAY },
      failedAuthorizations: { count: 200, period: HOUR },
      consecutiveFailures: { count: 3_600, period: 6 * HOUR },
    },
    domains: {},
    requests: {
      directory: perSecond(40),
      newNonce: perSecond(20),
      newOrder: perSecond(20),
      renewalInfo: perSecond(1_000),
      revokeCert: perSecond(10),
      acme: perSecond(20),
    },
    renewalsExempt: true,
  },
  zerossl: {
    certificates: { failedAuthorizations: FAILED },
    domains: {},
    requests: {},
    renewalsExempt: false,
  },
  google: {
    certificates: { failedAuthorizations: FAILED },
    domains: {},
    requests: {},
    renewalsExempt: false,
  },
};

const UNKNOWN: CaLimits = {
  certificates: { failedAuthorizations: FAILED },
  domains: {},
  requests: {},
  renewalsExempt: false,
};

/** What the configuration says differently of a CA. */
export interface LimitOverrides {
  certificates?: Partial<Record<CertificateLimit, Limit>>;
  domains?: Readonly<Record<string, Limit>>;
  renewalsExempt?: boolean;
}

/** The limits of a CA by its name, with what the configuration says differently. */
export function limitsOf(ca: string, overrides: LimitOverrides = {}): CaLimits {
  const base = LIMITS[ca] ?? UNKNOWN;
  return {
    certificates: { ...base.certificates, ...overrides.certificates },
    domains: { ...base.domains, ...overrides.domains },
    requests: base.requests,
    renewalsExempt: overrides.renewalsExempt ?? base.renewalsExempt,
  };
}

/** The limit of one bucket: a registered domain may have one of its own. Undefined where there is none. */
export function limitFor(limits: CaLimits, kind: CertificateLimit, subject: string): Limit | undefined {
  if (kind === "certificatesPerDomain" && limits.domains[subject]) return limits.domains[subject];
  return limits.certificates[kind];
}
