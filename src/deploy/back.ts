import { X509Certificate } from "node:crypto";
import type { NodeConfig } from "../config/terminations.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import { AppError } from "../core/errors.ts";
import { look } from "./look.ts";
import type { DeployDeps } from "./ports.ts";
import type { Bundle, Failures, Target } from "./target.ts";
import type { Verdict } from "./verify.ts";

/** A certificate that the node was given, and does not serve. */
export interface Wrong {
  record: CertificateRecord;
  serial: string;
  verdict: Extract<Verdict, { kind: "wrong" }>;
}

/** What came of it: why a person is needed, and the serial that the node serves now. */
export interface Back {
  error: AppError;
  serial: string;
}

/**
 * Brings a node back to where it was before a batch, as far as that is any good: to the certificate that was in use, or
 * to none where there has never been one. What was in use already is left alone, as somebody has changed something
 * else: taking it away would end what goes on being served well. One result for each, in their order.
 */
export async function takeBack(
  deps: Pick<DeployDeps, "certificates" | "clock">,
  node: NodeConfig,
  target: Target,
  wrong: readonly Wrong[],
  previous: ReadonlyMap<string, Bundle>,
): Promise<Back[]> {
  if (wrong.length === 0) return [];
  const before = new Map(
    wrong.flatMap(({ record }) => {
      const bundle = previous.get(record.id);
      return bundle && isGood(bundle, record, node.name, deps.clock.now())
        ? [[record.id, bundle] as const]
        : [];
    }),
  );
  const none = wrong.filter((each) => isFirst(each, node.name)).map(({ record }) => record);
  const bundles = [...before.values()];
  const failures = new Map([
    ...(bundles.length > 0 ? await target.put(bundles) : []),
    ...(none.length > 0 ? await target.remove(none.map(({ id, spec: { names } }) => ({ id, names }))) : []),
  ]);
  const verdicts = await look(deps.certificates, node, bundles, { within: node.verifyWithin });
  return wrong.map((each) => {
    const bundle = before.get(each.record.id);
    const served = bundle && verdicts.get(each.record.id)?.kind === "served" ? bundle.serial : undefined;
    const what = whatWasDone(node.name, each, { bundle, served, failures });
    return { error: notServed(node.name, each, what), serial: served ?? each.verdict.serial };
  });
}

/** The one that was in use, everywhere or on this node, and that has not ended. */
function isGood(bundle: Bundle, { served, nodes }: CertificateRecord, node: string, now: number): boolean {
  const wasInUse = bundle.serial === served || bundle.serial === nodes?.[node]?.serial;
  return wasInUse && Date.parse(new X509Certificate(bundle.leafPem).validTo) > now;
}

/** Neither all nodes nor this one were ever seen to serve one. */
function isFirst({ record: { served, nodes } }: Wrong, node: string): boolean {
  return served === undefined && !nodes?.[node]?.serial;
}

function whatWasDone(
  node: string,
  each: Wrong,
  {
    bundle,
    served,
    failures,
  }: { bundle: Bundle | undefined; served: string | undefined; failures: Failures },
): string {
  const { record, serial } = each;
  const failure = failures.get(record.id);
  if (failure) return `What was there before could not be put back: ${failure.message}`;
  if (served !== undefined) return `${node} has got back the certificate before it.`;
  if (bundle) return `${node} has been given back the certificate before it.`;
  if (isFirst(each, node)) return `It was taken away from ${node} again.`;
  if (record.served === serial) return "It is left as it is, as it was in use before.";
  return "It is left as it is, as the one before it is there no more, or has ended.";
}

function notServed(node: string, { serial, verdict }: Wrong, what: string): AppError {
  return new AppError(
    `${node} does not serve the new certificate, serial ${serial}, under ${verdict.name}: ${verdict.detail} ${what} When that is mended: certherd retry`,
    { code: "not_served", disposition: "node", identifier: verdict.name },
  );
}
