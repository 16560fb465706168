import { z } from "zod";

export const BULK_ACTIONS = ["retry", "renew", "pause", "resume", "remove"] as const;

/** Names in one request. */
export const MOST_AT_ONCE = 200;

export const bulkRequest = z
  .strictObject({
    action: z.enum(BULK_ACTIONS),
    names: z.array(z.string().min(1).max(253)).min(1).max(MOST_AT_ONCE).describe("First names."),
  })
  .meta({ examples: [{ action: "retry", names: ["www.example.com", "shop.example.com"] }] });

export const bulkAnswer = z.object({
  done: z.int().describe("For how many it was done."),
  results: z
    .array(
      z.object({
        name: z.string(),
        ok: z.boolean(),
        code: z.string().optional().describe("Of the error, where it was refused."),
        detail: z
          .string()
          .optional()
          .describe("Why, as a sentence; of what was done, what is still to come."),
      }),
    )
    .describe("One for each name, in the order of the request."),
});
export type BulkAnswer = z.infer<typeof bulkAnswer>;
