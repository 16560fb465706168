import { z } from "zod";
import { PRIORITY_LOWEST, REASONS, STATUSES } from "../core/certificate.ts";

/**
 * The shapes of the contract: they refuse what is of another shape, and are what /openapi.json shows. What the values
 * may be is for the checks that a CSV's rows go through too.
 */

const time = z.string().meta({ format: "date-time", examples: ["2025-08-28T14:15:01Z"] });

/** For the reader; that it is a port is checked later, with all the rest, so that all faults come at once. */
const port = z.int().meta({ minimum: 1, maximum: 65_535 });

export const certificateRequest = z.strictObject({
  names: z
    .array(z.string().regex(/^[^\s;|,]+$/, "give one name in each entry, such as www.example.com"))
    .min(1, "give at least one name")
    .describe("Up to 100 host names; the first one names the certificate."),
  vipPort: port.optional().describe("443 when left out."),
  acmePort: port.optional().describe("8888 when left out."),
  mail: z
    .strictObject({
      from: z.string().optional(),
      to: z.string().optional(),
      relay: z.string().optional(),
      port: port.optional().describe("25 when left out."),
    })
    .optional()
    .describe("Whom to tell, and through which relay; `to` and `relay` go together."),
  ca: z.string().optional().describe("A CA of the configuration; its first one when left out."),
  profile: z.string().optional(),
  keyType: z.string().optional().describe("ec256 (when left out), ec384, rsa2048, rsa3072 or rsa4096."),
  challenge: z
    .string()
    .optional()
    .describe("http-01 or dns-01; when left out, dns-01 for a wildcard and http-01 for all others."),
  priority: z
    .union([z.int().meta({ minimum: 1, maximum: PRIORITY_LOWEST }), z.string()])
    .optional()
    .describe("urgent, high, normal (when left out) or low; or 1 (first) to 100."),
});
export type CertificateRequest = z.infer<typeof certificateRequest>;

export const idempotencyHeaders = z.looseObject({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, "1 to 255 printable ASCII characters, without spaces")
    .optional()
    .describe("The same key and body again get the same answer, for 24 hours."),
});

export const importQuery = z.strictObject({
  dryRun: z.enum(["true", "false"]).optional().describe("`true` checks the file and leaves nothing behind."),
  notify: z.enum(["each", "digest", "off"]).optional().describe("As configured when left out."),
  source: z
    .string()
    .max(200)
    .regex(/^[^\p{Cc}\p{Bidi_Control}\u2028\u2029]*$/u, "no control characters")
    .optional()
    .describe("The file's name, for people."),
});

export const certificateQuery = z.strictObject({
  status: z.enum(STATUSES).optional(),
  q: z.string().min(1).max(253).optional().describe("A part of any of its names."),
  cursor: z.string().max(400).optional().describe("`next` of the page before."),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

export const nameParams = z.object({ name: z.string().describe("The certificate's first name.") });
export const importParams = z.object({ id: z.string().regex(/^[\w-]{1,64}$/, "an import's id") });

const storedError = z.object({
  code: z.string(),
  type: z.string(),
  detail: z.string(),
  identifier: z.string().optional(),
  url: z.string().optional().describe("A page on which a person can end it."),
  records: z
    .array(
      z.object({
        name: z.string(),
        type: z.string(),
        set: z.string().optional(),
        today: z.string(),
        why: z.string(),
      }),
    )
    .optional()
    .describe("What the owner of the name has to set in DNS; without `set`, to remove."),
});

export const certificate = z.object({
  name: z.string(),
  names: z.array(z.string()),
  status: z.enum(STATUSES),
  reason: z
    .string()
    .meta({ enum: [...REASONS] })
    .optional(),
  detail: z.string().optional(),
  until: time.optional(),
  doneBy: time.optional().describe("By when it should be done, as things stand."),
  error: storedError.optional(),
  ca: z.string().optional(),
  attempts: z.int(),
  notBefore: time.optional(),
  notAfter: time.optional(),
  issuer: z.string().optional(),
  serial: z.string().optional(),
  renewAt: time.optional(),
  suggested: z
    .object({ start: time, end: time, explanationUrl: z.string().optional() })
    .optional()
    .describe("When the CA suggests to renew it (RFC 9773)."),
  revokedAt: time.optional(),
  nodes: z.array(
    z.object({
      node: z.string(),
      serving: z.boolean(),
      serial: z.string().optional(),
      seenAt: time.optional(),
      owed: z.string().optional(),
    }),
  ),
});

export const certificateWithEvents = certificate.extend({
  events: z.array(
    z.object({ at: time, what: z.string(), detail: z.string().optional(), by: z.string().optional() }),
  ),
});

export const certificateList = z.object({
  certificates: z.array(certificate),
  next: z.string().optional().describe("The cursor of the page that follows; missing on the last one."),
});

const rejected = z.object({
  line: z.int(),
  domain: z.string(),
  column: z.string(),
  value: z.string(),
  reason: z.string(),
});

export const importDocument = z.object({
  import: z.string(),
  rows: z.int(),
  accepted: z.int(),
  duplicates: z.int(),
  unchanged: z.int(),
  retried: z.int(),
  updated: z.int(),
  warnings: z.array(z.string()).optional(),
  rejected: z.array(rejected).describe("One entry a fault."),
  certificates: z.array(
    certificate.pick({ name: true, status: true, reason: true, until: true, error: true }),
  ),
});

const plan = z.object({
  orders: z.int(),
  firstAt: time.nullable(),
  halfAt: time.nullable(),
  lastAt: time.nullable(),
  finishesAt: time.nullable(),
  limits: z.array(z.object({ limit: z.string(), key: z.string(), waits: z.int(), until: time })),
  advice: z.array(z.looseObject({ text: z.string(), finishesAt: time })).describe("What would help."),
  certificates: z.array(z.looseObject({ name: z.string(), at: time, limit: z.string().optional() })),
});

export const importForecast = importDocument
  .extend({ plan: plan.describe("When they would be ordered, behind what is queued already.") })
  .describe("What a dry run has found");

export const importState = importDocument.extend({
  read: z.boolean().describe("The whole file has been taken in."),
  ended: z.boolean().describe("All its certificates have come to rest."),
  open: z.int().describe("Certificates that have not."),
});

export const revocationRequest = z
  .strictObject({
    reason: z
      .enum(["unspecified", "keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation"])
      .default("unspecified"),
    replace: z.boolean().default(true).describe("Order a new one, with a new key."),
  })
  .nullish()
  .meta({ examples: [{ reason: "keyCompromise", replace: true }] });

/** Actions that need nothing to be said take no body, or an empty one. */
export const noBody = z.strictObject({}).nullish();

export const removalQuery = z.strictObject({
  revoke: z.enum(["true", "false"]).optional().describe("`true` tells the CA, too, once no node serves it."),
});

export const removal = z.object({
  name: z.string(),
  removed: z.boolean(),
  revoked: z.boolean(),
  owed: z.array(z.string()).describe("Nodes that have still to let go of it."),
  lost: z.array(z.string()).describe("Nodes that had it, and are configured no more."),
  notRevoked: z.string().optional().describe("Why it is not revoked, though that was asked for."),
});

const bucket = z.object({
  limit: z.string(),
  key: z.string(),
  burst: z.number(),
  used: z.number(),
  remaining: z.number(),
  nextAt: time,
  waits: z.int().describe("How many certificates wait for it."),
  waiting: z.array(z.string()).describe("The first of them."),
});

export const limits = z.object({
  accounts: z.array(
    z.object({
      ca: z.string(),
      account: z.string().nullable(),
      stopped: z.string().optional(),
      paused: z
        .object({ code: z.string(), detail: z.string(), failures: z.int(), since: time, nextTryAt: time })
        .optional(),
      buckets: z.array(bucket),
    }),
  ),
});

export const auditQuery = z.strictObject({
  cursor: z
    .string()
    .regex(/^\d{1,16}-\d{1,16}$/, "it is none that was given as `next`")
    .optional()
    .describe("`next` of the page before."),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

export const auditList = z.object({
  entries: z.array(
    z.object({
      at: time,
      by: z.string().meta({ examples: ["api:crm", "cli:root"] }),
      action: z.string(),
      certificate: z.string().optional(),
      detail: z.string().optional(),
    }),
  ),
  next: z.string().optional().describe("The cursor of the page that follows; missing on the last one."),
});

/** The body of an import is a stream, which is for the CSV reader to look at. */
export const csvBody = z.any().meta({ type: "string", description: "The CSV, in UTF-8." });

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  errors: z.array(z.object({ field: z.string(), value: z.string(), reason: z.string() })).optional(),
});

/** What any route may answer beside what it is for. */
export const problems = {
  "4xx": { description: "A problem", content: { "application/problem+json": { schema: problem } } },
  "5xx": { description: "A problem", content: { "application/problem+json": { schema: problem } } },
};
