import { z } from "zod";
import { parseRange } from "../core/addresses.ts";
import { parseRelayRule } from "../core/relays.ts";
import { duration } from "./fields.ts";

export interface HttpSettings {
  /** Milliseconds for which a browser's session lasts without being used, and at most. */
  session: { idle: number; most: number };
  /** Requests that one token may make to /v1 in a minute. */
  ratePerMinute: number;
  /** Addresses, or ranges of them, of the proxies whose X-Forwarded-* headers are believed. */
  trustProxy: readonly string[];
}

const SESSION = { idle: 3_600_000, most: 8 * 3_600_000 } as const;
const RATE = 6_000;
const LOOPBACK = ["127.0.0.0/8", "::1/128"] as const;

const range = z.string().refine((text) => parseRange(text) !== undefined, {
  error: ({ input }) => `"${input}" is no IP address and no range of them; give one such as 10.0.0.0/8`,
});

export const httpSchema = z.strictObject({
  session: z.strictObject({ idle: duration.optional(), most: duration.optional() }).optional(),
  ratePerMinute: z.number().int().positive().optional(),
  trustProxy: z.array(range).optional(),
});

/** Of `mail`. */
export const relaysSchema = z.array(
  z.string().transform((text, context) => {
    const rule = parseRelayRule(text);
    if (!("reason" in rule)) return rule;
    context.addIssue(`"${text}": ${rule.reason}`);
    return z.NEVER;
  }),
);

export function httpSettings(given: z.infer<typeof httpSchema> = {}): HttpSettings {
  const { session = {}, ratePerMinute = RATE, trustProxy = LOOPBACK } = given;
  const most = session.most ?? SESSION.most;
  return { session: { idle: Math.min(session.idle ?? SESSION.idle, most), most }, ratePerMinute, trustProxy };
}
