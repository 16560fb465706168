import type { Stage } from "../../scripts/stage.ts";
import type { LimitedCa } from "./limited-ca.ts";

/** The name of the CA in such a configuration. */
export const SCALED = "scaled";

export interface LimitsYaml {
  /** By how much the CA's periods are divided; the delays of retries are divided by the same. */
  scale: number;
  /** More lines of the file. */
  more?: string;
}

/** A configuration that knows the limits of a stage's CA as that keeps them. */
export function limitsYaml(stage: Stage, { scale, more = "" }: LimitsYaml): string {
  const limited = limitedOf(stage);
  const limits = Object.entries(limited.limits).map(
    ([name, limit]) => `      ${name}: { count: ${limit.count}, per: ${limit.periodMs}ms }`,
  );
  const retry = [60, 600, 6_000, 86_400].map((seconds) => `${Math.ceil((seconds * 1_000) / scale)}ms`);
  return `cas:
  - name: ${SCALED}
    directory: ${limited.directoryUrl}
    root: ${limited.rootPath}
    renewalsExempt: true
    limits:
${limits.join("\n")}
retry: [${retry.join(", ")}]
${more}
`;
}

export function limitedOf({ limited }: Stage): LimitedCa {
  if (!limited) throw new Error("This stage's CA keeps no limits.");
  return limited;
}
