import { z } from "zod";
import { time } from "./common.ts";

export const limitsQuery = z.strictObject({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(1_000)
    .describe("Buckets of each account: the most waited for and the scarcest."),
});

export const bucket = z.object({
  limit: z.string(),
  key: z.string(),
  burst: z.number(),
  used: z.number(),
  remaining: z.number(),
  nextAt: time,
  every: z.number().optional().describe("Seconds after which one more is allowed, where that is known."),
  clearsAt: time.optional().describe("When the last of those that wait now should have had its turn."),
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
      more: z.int().optional().describe("How many buckets there are beside those."),
    }),
  ),
});
export type Bucket = z.infer<typeof bucket>;
export type Limits = z.infer<typeof limits>;
