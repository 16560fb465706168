import { z } from "zod";
import { dnsRecord } from "./certificates.ts";

const VERDICTS = ["ready", "customer", "node", "blocked"] as const;

/** The last line of the answer: what was found of all. */
export const triageReport = z.object({
  certificates: z.int(),
  ready: z.int(),
  customer: z.int().describe("Whoever has the domain's DNS must act."),
  node: z.int().describe("This host, or its way out, is at fault: nothing can be told from here."),
  blocked: z.int().describe("A person here must act; no change in DNS would help."),
  rejected: z.int().describe("Rows."),
  waiting: z
    .array(
      z.object({
        name: z.string(),
        domain: z.string().describe("Its registered domain."),
        kind: z.enum(VERDICTS),
        code: z.string().optional(),
        detail: z.string(),
        records: z.array(dnsRecord).optional().describe("What has to be set; without `set`, removed."),
        mail: z.string().optional().describe("Whom the row names."),
      }),
    )
    .describe("Those that are not ready."),
});
export type TriageReport = z.infer<typeof triageReport>;

/** Each line of the answer (application/x-ndjson). */
export const triageLine = z.union([
  z.object({ progress: z.object({ done: z.int(), total: z.int() }) }),
  z.object({ triage: triageReport }),
  z.object({ problem: z.looseObject({ type: z.string(), title: z.string(), detail: z.string() }) }),
]);
export type TriageLine = z.infer<typeof triageLine>;

export const triageAnswer = {
  description: "One such line after the other; the last one has `triage` or `problem`.",
  content: { "application/x-ndjson": { schema: triageLine } },
};
