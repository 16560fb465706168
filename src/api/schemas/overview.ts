import { z } from "zod";
import { REASONS, STATUSES } from "../../core/certificate.ts";
import { time } from "./common.ts";
import { bucket } from "./limits.ts";

const count = z.int().min(0);

/** Days of the chart of ends. */
export const EXPIRY_DAYS = 90;

/** What a person looks at first; costs the same for ten certificates and for 100,000. */
export const overview = z.object({
  at: time,
  total: count,
  statuses: z.partialRecord(z.enum(STATUSES), count).describe("How many there are in each; 0 is left out."),
  waiting: z.partialRecord(z.enum(REASONS), count).describe("Of those in `waiting`, for what."),
  pace: z.object({
    hour: count.describe("Leaves obtained within the last hour."),
    day: count.describe("Within the last 24 hours."),
  }),
  finishesAt: time
    .nullable()
    .describe(
      "When all that is in line, or waits for a limit, should be done; null when nothing is, or before that is known.",
    ),
  budgets: z
    .array(bucket.extend({ ca: z.string() }))
    .describe("The accounts' own limits, full or not, then those that the most wait for; 12 at most."),
  expiry: z.object({
    ended: count,
    within7: count,
    within14: count,
    within30: count,
    days: z
      .array(z.object({ day: z.string().meta({ format: "date" }), count }))
      .describe(`How many end on each of the next ${EXPIRY_DAYS} days (UTC).`),
  }),
  renewals: z.object({
    due: count.describe("Whose moment has come."),
    day: count.describe("Within 24 hours."),
    week: count.describe("Within seven days."),
  }),
  nodes: z.array(
    z.object({
      node: z.string(),
      vipPort: z.int(),
      fault: z.string().optional().describe("Why nothing can be deployed to it."),
      since: time.optional(),
    }),
  ),
  processes: z
    .array(z.object({ role: z.string(), node: z.string(), pid: z.int(), seenAt: time }))
    .describe("Those that have given a sign of life not long ago."),
});
export type Overview = z.infer<typeof overview>;
