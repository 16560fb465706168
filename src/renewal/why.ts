import type { CertificateRecord } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { isShortLived, type RenewalPolicy, renewAtOf } from "./policy.ts";

/** Why a certificate is renewed when it is, as a sentence. Undefined where there is none. */
export function whyRenewed(
  { spec, leaf, schedule }: Pick<CertificateRecord, "spec" | "leaf" | "schedule">,
  policy: RenewalPolicy,
): string | undefined {
  if (leaf === undefined) return undefined;
  const { window, explanationUrl } = schedule ?? {};
  const byRule = renewAtOf(leaf, spec.names[0] ?? "", policy);
  if (policy.renewBefore !== undefined && leaf.renewAt === byRule)
    return `renewBefore is configured: that long before its end, at ${rfc3339(leaf.notAfter)}.`;
  if (window === undefined) {
    const left = isShortLived(leaf) ? "half" : "a third";
    return `The CA suggests nothing: it is renewed when ${left} of its lifetime is left.`;
  }
  const suggested = `The CA suggests to renew it from ${rfc3339(window.start)} to ${rfc3339(window.end)}`;
  const why = explanationUrl === undefined ? "" : `; why: ${explanationUrl}`;
  if (leaf.renewAt < window.start) return `${suggested}, which would be late for it${why}.`;
  if (leaf.renewAt > window.end) return `${suggested}, which is over${why}.`;
  return `${suggested}${why}.`;
}
