/** The limits of a CA that limits nothing, but for what a test says. */
import type { CaLimits } from "../../src/limits/table.ts";

export function makeLimits(limits: Partial<CaLimits> = {}): CaLimits {
  return { certificates: {}, domains: {}, requests: {}, renewalsExempt: false, ...limits };
}
