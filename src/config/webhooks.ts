import { readFileSync } from "node:fs";
import { z } from "zod";
import { usageError } from "../core/errors.ts";

/** What a webhook can be told: each step of a certificate, and that a person is needed. */
export const WEBHOOK_EVENTS = [
  "adopted",
  "attention",
  "deploying",
  "drift",
  "failed",
  "finalizing",
  "issued",
  "not_served",
  "ordering",
  "paused",
  "removed",
  "renewal_planned",
  "resumed",
  "revoked",
  "served",
  "serving",
  "spilled",
  "taken_away",
  "validating",
  "waiting",
  "warned",
] as const;

export interface Webhook {
  name: string;
  url: string;
  /** What its requests are signed with. */
  secret: Buffer;
  events: ReadonlySet<string>;
}

export const webhooksSchema = z.array(
  z.strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, "a webhook's name is of lower-case letters, digits and hyphens"),
    url: z
      .url({ protocol: /^https?$/ })
      .refine((text) => new URL(text).username === "" && new URL(text).password === "", {
        error: "leave user and password out of the URL: the signature says who sends it",
      }),
    secretFile: z.string().min(1),
    events: z.array(z.enum(WEBHOOK_EVENTS)).min(1),
  }),
);

/** Bytes, as the Standard Webhooks specification has it. */
const SECRET = { least: 24, most: 64 };

export function webhooksOf(given: z.infer<typeof webhooksSchema> = []): Webhook[] {
  const names = new Set<string>();
  return given.map(({ name, url, secretFile, events }) => {
    if (names.has(name))
      throw usageError("config_invalid", `Two webhooks have the name ${name}; give each its own.`);
    names.add(name);
    return { name, url, secret: secretOf(name, secretFile), events: new Set<string>(events) };
  });
}

function secretOf(name: string, path: string): Buffer {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw usageError("config_unreadable", `The secret of the webhook ${name} cannot be read: ${reason}.`);
  }
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1];
  const secret = Buffer.from(base64 ?? "", "base64");
  if (secret.length >= SECRET.least && secret.length <= SECRET.most) return secret;
  throw usageError(
    "config_invalid",
    `The secret of the webhook ${name} must be whsec_ and 24 to 64 random bytes as base64; make one with: echo "whsec_$(openssl rand -base64 32)" > ${path}`,
  );
}
