/** A CA's refusal, for the gate to give in Pebble's place. */
import type { Answer } from "./gate.ts";

export function refusal(
  type: string,
  status: number,
  { detail = "not now", retryAfter }: { detail?: string; retryAfter?: number } = {},
): Answer {
  const headers = ["Content-Type", "application/problem+json"];
  if (retryAfter !== undefined) headers.push("Retry-After", `${retryAfter}`);
  const body = JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail, status });
  return { status, rawHeaders: headers, body: Buffer.from(body) };
}
