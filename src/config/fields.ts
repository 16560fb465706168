import { isIP } from "node:net";
import { z } from "zod";
import { parseDuration } from "../core/duration.ts";

/** Milliseconds, written as 500ms, 36s, 12m, 3h or 7d. */
export const duration = z.string().transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  const fault = ms === 0 ? "too short" : "no duration";
  context.addIssue(`"${text}" is ${fault}; write it as 500ms, 36s, 12m, 3h or 7d`);
  return z.NEVER;
});

export const address = z.string().refine((text) => isIP(text) !== 0 || text === "localhost", {
  error: ({ input }) => `"${input}" is no IP address; give one such as 203.0.113.7 or 2001:db8::7`,
});

export const port = z.number().int().min(1).max(65_535);
