import { z } from "zod";
import { dnsSchema } from "./dns.ts";
import { address, duration, port } from "./fields.ts";
import { httpSchema, relaysSchema } from "./http.ts";
import { terminationsSchema } from "./terminations.ts";
import { webhooksSchema } from "./webhooks.ts";

const limit = z
  .strictObject({ count: z.number().int().positive(), per: duration })
  .transform(({ count, per }) => ({ count, period: per }));

const certificateLimits = z.strictObject({
  newRegistrations: limit.optional(),
  consecutiveFailures: limit.optional(),
  newOrders: limit.optional(),
  certificatesPerDomain: limit.optional(),
  certificatesPerNameSet: limit.optional(),
  failedAuthorizations: limit.optional(),
});

const ca = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, "a CA's name is of lower-case letters, digits, dots and hyphens"),
  directory: z.url({ protocol: /^https?$/ }).optional(),
  root: z.string().optional(),
  email: z.string().optional(),
  eab: z.strictObject({ kid: z.string().min(1), hmacFile: z.string().min(1) }).optional(),
  profile: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/i, "a profile is the CA's name for it, such as tlsserver")
    .optional(),
  limits: certificateLimits.optional(),
  domains: z.record(z.string(), certificateLimits.pick({ certificatesPerDomain: true })).optional(),
  renewalsExempt: z.boolean().optional(),
  caaIdentities: z.array(z.string().min(1)).optional(),
});

/** The configuration file (CERTHERD_CONFIG). Unknown keys are refused: a misspelt one would be silently lost. */
export const configFile = z.strictObject({
  cas: z.array(ca).min(1).optional(),
  spillAfter: duration.optional(),
  retry: z.array(duration).min(1).optional(),
  acmeListen: address.optional(),
  vips: z.array(address).optional(),
  mail: z
    .strictObject({
      from: z.string().optional(),
      notify: z.enum(["each", "digest", "off"]).optional(),
      operator: z
        .strictObject({
          to: z.string(),
          relay: z.string(),
          port: port.optional(),
        })
        .optional(),
      relays: relaysSchema.optional(),
    })
    .optional(),
  http: httpSchema.optional(),
  preflight: z
    .strictObject({ recheck: z.array(duration).min(1).optional(), giveUpAfter: duration.optional() })
    .optional(),
  breaker: z
    .strictObject({
      after: z.number().int().positive().optional(),
      probe: z.array(duration).min(1).optional(),
    })
    .optional(),
  patience: z
    .strictObject({ giveUpAfter: duration.optional(), failures: z.number().int().positive().optional() })
    .optional(),
  renewal: z
    .strictObject({
      renewBefore: duration.optional(),
      reuseKey: z.boolean().optional(),
      ari: z.boolean().optional(),
      warn: z.array(duration).min(1).optional(),
      poll: z
        .strictObject({
          least: duration.optional(),
          most: duration.optional(),
          every: duration.optional(),
        })
        .optional(),
      look: duration.optional(),
    })
    .optional(),
  activeWhen: z.strictObject({ address }).optional(),
  tokens: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        sha256: z.string().regex(/^[0-9a-f]{64}$/i, "the SHA-256 of the token, as 64 hex digits"),
        scopes: z.array(z.enum(["read", "enqueue", "admin"])).min(1),
      }),
    )
    .optional(),
  terminations: terminationsSchema.optional(),
  dns: dnsSchema.optional(),
  watch: z.strictObject({ every: duration }).optional(),
  webhooks: webhooksSchema.optional(),
  maxImportBytes: z.number().int().positive().optional(),
});

export type ConfigFile = z.infer<typeof configFile>;

/** "cas.0.limits.newOrders.per: …" for each fault, so that the reader finds the place in the file. */
export function describeFaults(error: z.ZodError): string {
  return error.issues
    .map((issue) => `${issue.path.length ? issue.path.join(".") : "the file"}: ${issue.message}`)
    .join("; ");
}

/** Without the keys whose value is undefined, so that they do not stand over a default. */
export function defined<T extends object>(settings: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
