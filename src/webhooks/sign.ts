import { createHmac } from "node:crypto";

/**
 * The headers by which a receiver knows that a request is ours, and no repetition of an old one, after the Standard
 * Webhooks specification: HMAC-SHA256 over "id.timestamp.body". `now` in milliseconds.
 */
export function signedHeaders(
  secret: Buffer,
  id: string,
  body: string,
  now: number,
): Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string> {
  const timestamp = String(Math.floor(now / 1_000));
  const signature = createHmac("sha256", secret).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}
