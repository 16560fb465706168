import { z } from "zod";
import { REASONS, STATUSES } from "../../core/certificate.ts";
import { time } from "./common.ts";
import { bucket } from "./limits.ts";

const count = z.int().min(0);

/** Days of the chart of ends. */
export const EXPIRY_DAYS = 90;

/** What a person looks at first; costs the same for ten certificates and for 100,000. */
export const overview = z
  .object({
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
  })
  .meta({
    examples: [
      {
        at: "2026-08-28T14:15:01Z",
        total: 5000,
        statuses: { serving: 4100, waiting: 880, attention: 20 },
        waiting: { limit: 850, customer: 30 },
        pace: { hour: 98, day: 2310 },
        finishesAt: "2026-08-28T22:51:12Z",
        budgets: [
          {
            ca: "letsencrypt",
            limit: "newOrders",
            key: "letsencrypt",
            burst: 300,
            used: 300,
            remaining: 0,
            nextAt: "2026-08-28T14:15:37Z",
            every: 36,
            clearsAt: "2026-08-28T22:45:01Z",
            waits: 850,
            waiting: [],
          },
        ],
        expiry: {
          ended: 0,
          within7: 3,
          within14: 12,
          within30: 640,
          days: [{ day: "2026-08-28", count: 1 }],
        },
        renewals: { due: 2, day: 61, week: 420 },
        nodes: [{ node: "lb1", vipPort: 443 }],
        processes: [{ role: "api", node: "lb1", pid: 4711, seenAt: "2026-08-28T14:14:59Z" }],
      },
    ],
  });
export type Overview = z.infer<typeof overview>;
