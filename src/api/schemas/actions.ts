import { z } from "zod";
import { REVOCATION_REASONS, type RevocationReason } from "../../core/revocation.ts";

const REASONS = Object.keys(REVOCATION_REASONS) as RevocationReason[];

export const revocationRequest = z
  .strictObject({
    reason: z.enum(REASONS).default("unspecified"),
    replace: z.boolean().default(true).describe("Order a new one, with a new key."),
  })
  .nullish()
  .meta({ examples: [{ reason: "keyCompromise", replace: true }] });

export const removalQuery = z.strictObject({
  revoke: z.enum(["true", "false"]).optional().describe("`true` tells the CA, too, once no node serves it."),
});

export const removal = z.object({
  name: z.string(),
  removed: z.boolean(),
  revoked: z.boolean(),
  owed: z.array(z.string()).describe("Nodes that have still to let go of it."),
  lost: z.array(z.string()).describe("Nodes that had it, and are configured no more."),
  notRevoked: z.string().optional().describe("Why it is not revoked, though that was asked for."),
});
export type Removal = z.infer<typeof removal>;
export type { RevocationReason };
