import { z } from "zod";
import { PRIORITY_LOWEST, REASONS, STATUSES } from "../../core/certificate.ts";
import { importId, port, time } from "./common.ts";

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

export const certificateQuery = z.strictObject({
  status: z.enum(STATUSES).optional(),
  reason: z.enum(REASONS).optional().describe("What it waits for: those in `waiting` alone."),
  q: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .describe("A part of any of its names; by name, those that begin with it come first.")
    .meta({ examples: ["shop"] }),
  import: importId.optional().describe("Those that stand in the file of this import alone."),
  sort: z
    .enum(["name", "expires", "renews"])
    .default("name")
    .describe("By its end, or by the moment of its renewal, only those with a leaf are listed."),
  order: z.enum(["asc", "desc"]).default("asc"),
  cursor: z.string().max(400).optional().describe("`next` of the page before."),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

export const dnsRecord = z.object({
  name: z.string(),
  type: z.string(),
  set: z.string().optional(),
  today: z.string(),
  why: z.string(),
});
export type DnsRecordShown = z.infer<typeof dnsRecord>;

const storedError = z.object({
  code: z.string(),
  type: z.string(),
  detail: z.string(),
  identifier: z.string().optional(),
  url: z.string().optional().describe("A page on which a person can end it."),
  records: z
    .array(dnsRecord)
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

/** One certificate with all that a person may want to know about it. */
export const certificateDetail = certificateWithEvents.extend({
  vipPort: z.int(),
  acmePort: z.int(),
  keyType: z.string(),
  challenge: z.string(),
  priority: z.int(),
  profile: z.string().optional(),
  mail: z
    .object({ from: z.string().optional(), to: z.string(), relay: z.string(), port: z.int() })
    .optional(),
  import: z.string().optional().describe("The import that asked for it last."),
  acceptedAt: time.describe("When that was."),
  steps: z
    .array(z.object({ status: z.enum(STATUSES), at: time }))
    .describe("The statuses that it has come through since it was asked for last, as far as they are kept."),
  failures: z
    .array(z.object({ at: time, code: z.string().optional(), detail: z.string() }))
    .describe("What has failed, in the CA's own words where it was the CA; newest first."),
  todo: z.string().optional().describe("What a person has to do, where there is something."),
  chain: z
    .array(
      z.object({
        subject: z.string(),
        issuer: z.string(),
        serial: z.string(),
        notBefore: time,
        notAfter: time,
      }),
    )
    .describe("As it is deployed, leaf first."),
  renewal: z
    .object({ at: time, why: z.string().describe("A sentence.") })
    .optional()
    .describe("The next one."),
  requests: z
    .array(z.object({ at: time, by: z.string(), action: z.string(), detail: z.string().optional() }))
    .describe("Who has asked for what, newest first."),
});
export type CertificateDetail = z.infer<typeof certificateDetail>;
export type CertificateShown = z.infer<typeof certificate>;

export const certificateList = z.object({
  certificates: z.array(certificate),
  next: z.string().optional().describe("The cursor of the page that follows; missing on the last one."),
});
