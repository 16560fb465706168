import { z } from "zod";
import { FAILED, REFUSED } from "./examples.ts";

/**
 * The shapes of the contract: they refuse what is of another shape, and are what /openapi.json shows. What the values
 * may be is for the checks that a CSV's rows go through too.
 */

export const time = z.string().meta({ format: "date-time", examples: ["2025-08-28T14:15:01Z"] });

/** For the reader; that it is a port is checked later, with all the rest, so that all faults come at once. */
export const port = z.int().meta({ minimum: 1, maximum: 65_535 });

export const nameParams = z.object({ name: z.string().describe("The certificate's first name.") });

export const importId = z.string().regex(/^[\w-]{1,64}$/, "an import's id");

/** Actions that need nothing to be said take no body, or an empty one. */
export const noBody = z.strictObject({}).nullish();

export const idempotencyHeaders = z.looseObject({
  "idempotency-key": z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, "1 to 255 printable ASCII characters, without spaces")
    .optional()
    .describe("The same key and body again get the same answer, for 24 hours."),
});

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  errors: z.array(z.object({ field: z.string(), value: z.string(), reason: z.string() })).optional(),
});
const refused = problem.meta({ examples: [REFUSED] });
const failed = problem.meta({ examples: [FAILED] });

/** An answer that is no JSON. */
export const textAnswer = (type: string, description: string) => ({
  description,
  content: { [type]: { schema: z.string() } },
});

export const health = z.object({ status: z.string().meta({ examples: ["ready"] }) }).meta({
  examples: [{ status: "ready" }],
});

/** What any route may answer beside what it is for. */
export const problems = {
  "4xx": {
    description: "What is wrong with the request",
    content: { "application/problem+json": { schema: refused } },
  },
  "5xx": {
    description: "What is wrong here; with Retry-After it may be right again soon",
    content: { "application/problem+json": { schema: failed } },
  },
};
