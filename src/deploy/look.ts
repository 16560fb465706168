import type { NodeConfig } from "../config/terminations.ts";
import type { CertificateStore } from "../store/certificates.ts";
import type { Bundle } from "./target.ts";
import { type Verdict, verifyAll } from "./verify.ts";

/** Names of one certificate that may be another one's, before it is taken for wrong. */
const MOST_SHARED = 100;

/**
 * Whether a node serves each certificate under each of its names, looked at again for `within` milliseconds. A name may
 * stand in two certificates, of which the load balancer shows one: whichever it is, as long as it is that one's newest.
 */
export async function look(
  certificates: Pick<CertificateStore, "ownersOf" | "get">,
  node: NodeConfig,
  bundles: readonly Bundle[],
  { within }: { within: number },
): Promise<Map<string, Verdict>> {
  const verdicts = await verifyAll(node, bundles, { within });
  for (const bundle of bundles) {
    const verdict = verdicts.get(bundle.id);
    if (verdict?.kind !== "wrong" || verdict.differs !== "leaf" || verdict.serial === "") continue;
    verdicts.set(bundle.id, await withoutShared(certificates, node, bundle, verdict));
  }
  return verdicts;
}

async function withoutShared(
  certificates: Pick<CertificateStore, "ownersOf" | "get">,
  node: NodeConfig,
  bundle: Bundle,
  first: Extract<Verdict, { kind: "wrong" }>,
): Promise<Verdict> {
  let verdict: Verdict = first;
  let { names } = bundle;
  for (let shared = 0; shared < MOST_SHARED && verdict.kind === "wrong"; shared++) {
    const { name, serial } = verdict;
    const [owner] = await certificates.ownersOf([serial]);
    if (owner === undefined || owner === bundle.id) return verdict;
    const other = await certificates.get(owner);
    if (other?.leaf?.serial !== serial || !covers(other.spec.names, name)) return verdict;
    names = names.filter((each) => each !== name);
    if (names.length === 0) return { kind: "served" };
    const again = await verifyAll(node, [{ ...bundle, names }], { within: 0 });
    verdict = again.get(bundle.id) ?? verdict;
  }
  return verdict;
}

/** RFC 6125 §6.4.3: an asterisk stands for one label. */
function covers(names: readonly string[], name: string): boolean {
  return names.includes(name) || names.includes(name.replace(/^[^.]+\./, "*."));
}
