import { z } from "zod";
import { REASONS, STATUSES } from "../../core/certificate.ts";
import { certificate } from "./certificates.ts";
import { importId, time } from "./common.ts";

export const importQuery = z.strictObject({
  dryRun: z.enum(["true", "false"]).optional().describe("`true` checks the file and leaves nothing behind."),
  notify: z.enum(["each", "digest", "off"]).optional().describe("As configured when left out."),
  source: z
    .string()
    .max(200)
    .regex(/^[^\p{Cc}\p{Bidi_Control}\u2028\u2029]*$/u, "no control characters")
    .optional()
    .describe("The file's name, for people."),
});

export const importParams = z.object({ id: importId });

const rejected = z.object({
  line: z.int(),
  domain: z.string(),
  column: z.string(),
  value: z.string(),
  reason: z.string(),
});

export const importDocument = z.object({
  import: z.string(),
  rows: z.int(),
  accepted: z.int(),
  duplicates: z.int(),
  unchanged: z.int(),
  retried: z.int(),
  updated: z.int(),
  warnings: z.array(z.string()).optional(),
  rejected: z.array(rejected).describe("One entry a fault."),
  certificates: z.array(
    certificate.pick({ name: true, status: true, reason: true, until: true, error: true }),
  ),
});

const plan = z.object({
  orders: z.int(),
  firstAt: time.nullable(),
  halfAt: time.nullable(),
  lastAt: time.nullable(),
  finishesAt: time.nullable(),
  limits: z.array(
    z.object({ limit: z.string(), key: z.string(), ca: z.string(), waits: z.int(), until: time }),
  ),
  advice: z.array(z.looseObject({ text: z.string(), finishesAt: time })).describe("What would help."),
  certificates: z.array(z.looseObject({ name: z.string(), at: time, limit: z.string().optional() })),
});

export const importForecast = importDocument
  .extend({ plan: plan.describe("When they would be ordered, behind what is queued already.") })
  .describe("What a dry run has found");

export const importState = importDocument.extend({
  read: z.boolean().describe("The whole file has been taken in."),
  ended: z.boolean().describe("All its certificates have come to rest."),
  open: z.int().describe("Certificates that have not."),
});

/** The body of an import is a stream, which is for the CSV reader to look at. */
export const csvBody = z.any().meta({
  type: "string",
  description: "The CSV, in UTF-8.",
  examples: ["DOMAIN,VIPPort\nwww.example.com example.com,443\nshop.example.com,443\n"],
});

/** An import without its certificates. */
export const importSummary = z.object({
  import: z.string(),
  source: z.string().describe("The file's name, for people."),
  at: time,
  rows: z.int(),
  accepted: z.int(),
  duplicates: z.int(),
  unchanged: z.int(),
  retried: z.int(),
  updated: z.int(),
  rejectedRows: z.int(),
  read: z.boolean().describe("The whole file has been taken in."),
  ended: z.boolean().describe("All its certificates have come to rest."),
  open: z.int().describe("Certificates that have not."),
});

export const importList = z.object({
  imports: z.array(importSummary).describe("Newest first."),
  next: z.string().optional().describe("The cursor of the page that follows; missing on the last one."),
});

export const importListQuery = z.strictObject({
  cursor: z
    .string()
    .regex(/^\d{1,16}\.[\w-]{1,64}$/, "it is none that was given as `next`")
    .optional()
    .describe("`next` of the page before."),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

export const importProgress = importSummary.extend({
  statuses: z.partialRecord(z.enum(STATUSES), z.int()).describe("How its certificates stand now."),
  waiting: z.partialRecord(z.enum(REASONS), z.int()).describe("Of those in `waiting`, for what."),
  finishesAt: time.nullable().describe("When the last of them should be done, as things stand."),
});
export type ImportState = z.infer<typeof importState>;
export type ImportList = z.infer<typeof importList>;
export type ImportSummary = z.infer<typeof importSummary>;
export type ImportProgress = z.infer<typeof importProgress>;
export type ImportForecast = z.infer<typeof importForecast>;
