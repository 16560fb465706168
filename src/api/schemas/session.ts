import { z } from "zod";
import { time } from "./common.ts";

export const session = z.object({
  name: z.string().describe("The token's name; `full` for the one that has none."),
  scopes: z.array(z.enum(["read", "enqueue", "admin"])),
  expiresAt: time.nullable().describe("Of a browser's session; null for a bearer token."),
  version: z.string().describe("Certherd's own."),
  ca: z.array(z.string()).describe("The CAs of the configuration, in order."),
});
export type Session = z.infer<typeof session>;
