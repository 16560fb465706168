import { Agent, request } from "undici";
import type { Webhook } from "../config/webhooks.ts";
import { signedHeaders } from "./sign.ts";

/** Milliseconds for a connection, and for the whole delivery. */
const CONNECT = 5_000;
const WITHIN = 15_000;
/** Bytes read of an answer, of which nothing is needed but its status. */
const MOST = 16_384;

/** Why a delivery was not taken. */
export interface Refusal {
  reason: string;
  /** Seconds after which the receiver wants to be asked again. */
  retryAfter?: number;
}

export interface Sender {
  /** Undefined where it was taken. Follows no redirect: the configured URL is the only one that is spoken to. */
  send(hook: Webhook, id: string, body: string, now: number): Promise<Refusal | undefined>;
  close(): Promise<void>;
}

/** `within`: milliseconds for one delivery. */
export function openSender(within = WITHIN): Sender {
  const agent = new Agent({ connect: { timeout: CONNECT }, connections: 8, pipelining: 1 });
  return {
    close: () => agent.destroy(),
    async send({ url, secret }, id, body, now) {
      try {
        const answer = await request(url, {
          dispatcher: agent,
          method: "POST",
          headers: {
            "content-type": "application/json",
            "user-agent": "certherd",
            ...signedHeaders(secret, id, body, now),
          },
          body,
          signal: AbortSignal.timeout(within),
        });
        // What it says beside its status is not waited for to its end, if there is one at all.
        await answer.body.dump({ limit: MOST }).catch(() => undefined);
        const { statusCode, headers } = answer;
        if (statusCode >= 200 && statusCode < 300) return undefined;
        const retryAfter = Number(headers["retry-after"]);
        return {
          reason: `it answered ${statusCode}`,
          ...(retryAfter > 0 && retryAfter <= 86_400 ? { retryAfter } : {}),
        };
      } catch (error) {
        return { reason: reasonOf(error, within) };
      }
    },
  };
}

function reasonOf(error: unknown, within: number): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === "TimeoutError" ? `no answer within ${within / 1_000} s` : error.message;
}
