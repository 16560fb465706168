import type { NodeConfig } from "../config/terminations.ts";
import type { CertificateRecord, NodeState } from "../core/certificate.ts";

export interface Owed {
  node: string;
  why: string;
}

/** What is to be done next for a certificate whose leaf is there. */
export type Step =
  /** That node is next. Those that it goes past get their certificate as soon as they can. */
  | { kind: "go"; node: string; owed: readonly Owed[] }
  /** Nothing more can be done until one of these is there again. */
  | { kind: "waiting"; owed: readonly Owed[] }
  /** A node did not serve it: nothing more until a person acts. */
  | { kind: "stopped"; node: string }
  | { kind: "served" };

/** Whether the node was seen to serve that leaf, with its chain, for this termination. */
export function isUpToDate(state: NodeState | undefined, serial: string, vipPort: number): boolean {
  return state?.ok === true && state.serial === serial && state.vipPort === vipPort;
}

/** The node that did not serve this leaf: no other node is given it, until somebody tries again. */
export function refusedBy(
  nodes: readonly Pick<NodeConfig, "name">[],
  { leaf, nodes: states }: Pick<CertificateRecord, "leaf" | "nodes">,
): string | undefined {
  return nodes.find(({ name }) => {
    const refused = states?.[name]?.refused;
    return refused !== undefined && refused === leaf?.serial;
  })?.name;
}

/**
 * One node after the other, in the order of the configuration. One that cannot be reached is gone past, unless it is
 * to be waited for, as the first one is: nothing goes to the others that has not been seen to work there.
 */
export function nextStep(
  nodes: readonly Pick<NodeConfig, "name" | "waitFor">[],
  record: Pick<CertificateRecord, "spec" | "leaf" | "nodes">,
  unavailable: (node: string) => string | undefined,
): Step {
  const refusing = refusedBy(nodes, record);
  if (refusing !== undefined) return { kind: "stopped", node: refusing };
  const serial = record.leaf?.serial ?? "";
  const owed: Owed[] = [];
  for (const [index, { name, waitFor = index === 0 }] of nodes.entries()) {
    if (isUpToDate(record.nodes?.[name], serial, record.spec.vipPort)) continue;
    const why = unavailable(name);
    if (why === undefined) return { kind: "go", node: name, owed };
    owed.push({ node: name, why });
    if (waitFor) break;
  }
  return owed.length > 0 ? { kind: "waiting", owed } : { kind: "served" };
}

/** Where a certificate still is that belongs elsewhere now: its port was changed, or a node was taken out. */
export function strays(
  { spec, nodes: states }: Pick<CertificateRecord, "spec" | "nodes">,
  nodes: readonly Pick<NodeConfig, "name">[],
): { node: string; vipPort: number }[] {
  const here = new Set(nodes.map(({ name }) => name));
  return everywhere(states).filter(({ node, vipPort }) => !here.has(node) || vipPort !== spec.vipPort);
}

/** Every node and port that it is on, as far as is known. */
export function everywhere(states: CertificateRecord["nodes"]): { node: string; vipPort: number }[] {
  return Object.entries(states ?? {}).flatMap(([node, { vipPort, leaves = [] }]) =>
    [vipPort, ...leaves].map((port) => ({ node, vipPort: port })),
  );
}

/** "lb1 serves 03AB…, lb2 serves nothing under that name." */
export function whatNodesServe(states: Readonly<Record<string, NodeState>> | undefined): string {
  const words = Object.entries(states ?? {}).map(([node, { serial }]) =>
    serial === undefined
      ? `${node} was not seen`
      : serial === ""
        ? `${node} serves nothing under that name`
        : `${node} serves ${serial}`,
  );
  return words.length > 0 ? `${words.join(", ")}.` : "";
}
