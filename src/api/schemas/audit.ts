import { z } from "zod";
import { time } from "./common.ts";

export const auditQuery = z.strictObject({
  cursor: z
    .string()
    .regex(/^\d{1,16}-\d{1,16}$/, "it is none that was given as `next`")
    .optional()
    .describe("`next` of the page before."),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

export const auditList = z.object({
  entries: z.array(
    z.object({
      at: time,
      by: z.string().meta({ examples: ["api:crm", "cli:root"] }),
      action: z.string(),
      certificate: z.string().optional(),
      detail: z.string().optional(),
    }),
  ),
  next: z.string().optional().describe("The cursor of the page that follows; missing on the last one."),
});
export type AuditList = z.infer<typeof auditList>;
