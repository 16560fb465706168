/** What /openapi.json shows beside the shapes, each of which these are a whole instance of (a test holds them to it). */

const NAME = "www.example.com";
const AT = "2026-08-28T14:15:01Z";
const LATER = "2026-08-28T17:15:00Z";
const IMPORT = "20260828T141501-75374009";

export const REFUSED = {
  type: "urn:certherd:error:invalid_request",
  title: "Unprocessable Entity",
  status: 422,
  detail: "The request is not as it has to be.",
  errors: [{ field: "names", value: "", reason: "give at least one name" }],
};

export const FAILED = {
  type: "urn:certherd:error:redis_unavailable",
  title: "Service Unavailable",
  status: 503,
  detail: "Redis does not answer; try again in a few seconds.",
};

export const CERTIFICATE_REQUEST = {
  names: [NAME, "example.com"],
  mail: { from: "certs@example.com", to: "ops@example.com", relay: "mail.example.com" },
};

export const CERTIFICATE = {
  name: NAME,
  names: [NAME, "example.com"],
  status: "serving",
  ca: "letsencrypt",
  attempts: 0,
  notBefore: AT,
  notAfter: "2026-11-26T14:15:00Z",
  issuer: "R10",
  serial: "04D2E5A81F",
  renewAt: "2026-10-27T03:12:44Z",
  nodes: [{ node: "lb1", serving: true, serial: "04D2E5A81F", seenAt: AT }],
};

export const WAITING = {
  name: "shop.example.com",
  names: ["shop.example.com"],
  status: "waiting",
  reason: "limit",
  until: LATER,
  attempts: 0,
  nodes: [],
};

export const CERTIFICATE_LIST = { certificates: [CERTIFICATE, WAITING], next: "c2hvcC5leGFtcGxlLmNvbQ" };

export const CERTIFICATE_WITH_EVENTS = {
  ...CERTIFICATE,
  events: [
    { at: AT, what: "asked to renew", by: "api:crm" },
    { at: AT, what: "serving", detail: "serial 04D2E5A81F on every node" },
  ],
};

export const CERTIFICATE_DETAIL = {
  ...CERTIFICATE_WITH_EVENTS,
  vipPort: 443,
  acmePort: 8888,
  keyType: "ec256",
  challenge: "http-01",
  priority: 50,
  import: IMPORT,
  acceptedAt: AT,
  steps: [
    { status: "queued", at: AT },
    { status: "serving", at: AT },
  ],
  failures: [],
  chain: [
    { subject: NAME, issuer: "R10", serial: "04D2E5A81F", notBefore: AT, notAfter: "2026-11-26T14:15:00Z" },
  ],
  renewal: { at: "2026-10-27T03:12:44Z", why: "The CA suggests it." },
  requests: [{ at: AT, by: "api:crm", action: "renew" }],
};

export const REMOVAL = { name: NAME, removed: true, revoked: false, owed: ["lb2"], lost: [] };

export const BULK_ANSWER = {
  done: 1,
  results: [
    { name: NAME, ok: true },
    { name: "shop.example.com", ok: false, code: "not_failed", detail: "It has not failed." },
  ],
};

const COUNTS = { rows: 3, accepted: 2, duplicates: 0, unchanged: 0, retried: 0, updated: 0 };

const REJECTED = [
  {
    line: 3,
    domain: "https://example.net/",
    column: "DOMAIN",
    value: "https://example.net/",
    reason: "it is a URL: give the bare name, example.net",
  },
];

export const IMPORT_DOCUMENT = {
  import: IMPORT,
  ...COUNTS,
  rejected: REJECTED,
  certificates: [
    { name: NAME, status: "queued" },
    { name: "shop.example.com", status: "queued" },
  ],
};

export const IMPORT_FORECAST = {
  plan: {
    orders: 2,
    firstAt: AT,
    halfAt: AT,
    lastAt: LATER,
    finishesAt: LATER,
    limits: [
      { limit: "certificatesPerDomain", key: "example.com", ca: "letsencrypt", waits: 1, until: LATER },
    ],
    advice: [
      {
        kind: "join",
        limit: "certificatesPerDomain",
        key: "example.com",
        names: 2,
        orders: 1,
        finishesAt: AT,
        text: "Put the names of example.com together as SANs, 2 names in 1 certificate: all is done by 2026-08-28 14:15 UTC instead of 2026-08-28 17:15 UTC.",
      },
    ],
    certificates: [
      { name: NAME, at: AT, ca: "letsencrypt" },
      {
        name: "shop.example.com",
        at: LATER,
        ca: "letsencrypt",
        limit: "certificatesPerDomain",
        key: "example.com",
      },
    ],
  },
  ...IMPORT_DOCUMENT,
  certificates: [],
};

const PROGRESS = { read: true, ended: false, open: 1 };

export const IMPORT_STATE = {
  ...PROGRESS,
  ...IMPORT_DOCUMENT,
  certificates: [
    { name: NAME, status: "serving" },
    { name: "shop.example.com", status: "waiting", reason: "limit", until: LATER },
  ],
};

const IMPORT_SUMMARY = {
  import: IMPORT,
  source: "domains.csv",
  at: AT,
  ...COUNTS,
  rejectedRows: 1,
  ...PROGRESS,
};

export const IMPORT_LIST = { imports: [IMPORT_SUMMARY], next: `1787926501000.${IMPORT}` };

export const IMPORT_PROGRESS = {
  ...IMPORT_SUMMARY,
  statuses: { serving: 1, waiting: 1 },
  waiting: { limit: 1 },
  finishesAt: LATER,
};

export const TRIAGE_LINES = [
  { progress: { done: 1, total: 2 } },
  {
    triage: {
      certificates: 2,
      ready: 1,
      customer: 1,
      node: 0,
      blocked: 0,
      rejected: 1,
      waiting: [
        {
          name: "shop.example.com",
          domain: "example.com",
          kind: "customer",
          detail: "shop.example.com A 203.0.113.7 is to be set; today it is none.",
          records: [
            {
              name: "shop.example.com",
              type: "A",
              set: "203.0.113.7",
              today: "none",
              why: "it has no address",
            },
          ],
          mail: "ops@example.com",
        },
      ],
    },
  },
];

export const LIMITS = {
  accounts: [
    {
      ca: "letsencrypt",
      account: "https://acme-v02.api.letsencrypt.org/acme/acct/1",
      buckets: [
        {
          limit: "certificatesPerDomain",
          key: "example.com",
          burst: 50,
          used: 50,
          remaining: 0,
          nextAt: LATER,
          every: 12_096,
          clearsAt: LATER,
          waits: 1,
          waiting: ["shop.example.com"],
        },
      ],
    },
  ],
};

export const OVERVIEW = {
  at: AT,
  total: 2,
  statuses: { serving: 1, waiting: 1 },
  waiting: { limit: 1 },
  pace: { hour: 1, day: 1 },
  finishesAt: LATER,
  budgets: LIMITS.accounts.flatMap(({ ca, buckets }) => buckets.map((bucket) => ({ ...bucket, ca }))),
  expiry: { ended: 0, within7: 0, within14: 0, within30: 0, days: [{ day: "2026-11-26", count: 1 }] },
  renewals: { due: 0, day: 0, week: 0 },
  nodes: [{ node: "lb1", vipPort: 443 }],
  processes: [{ role: "issue", node: "lb1", pid: 4711, seenAt: AT }],
};

export const AUDIT_LIST = {
  entries: [{ at: AT, by: "api:crm", action: "renew", certificate: NAME }],
  next: "1787926501000-0",
};

export const SESSION = {
  name: "crm",
  scopes: ["read", "enqueue"],
  expiresAt: null,
  version: "0.1.0",
  ca: ["letsencrypt"],
};
