import { isConfigured, type NodeConfig, type Terminations } from "../config/terminations.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import type { DeployDeps } from "./ports.ts";
import { everywhere } from "./rollout.ts";

type RemovalDeps = Pick<DeployDeps, "certificates" | "files" | "clock" | "producer" | "terminations">;

/** Where a certificate is, or may be on its way to. */
export function placesOf(
  { spec, nodes }: Pick<CertificateRecord, "spec" | "nodes">,
  terminations: Terminations,
): { node: string; vipPort: number }[] {
  const { vipPort } = spec;
  const wanted = (terminations.get(vipPort) ?? []).map(({ name }) => ({ node: name, vipPort }));
  const others = everywhere(nodes).filter(
    (place) =>
      isConfigured(terminations, place) &&
      !wanted.some(({ node }) => node === place.node && vipPort === place.vipPort),
  );
  return [...wanted, ...others];
}

/** Places that are configured no more, a node or its port: what is there cannot be taken away. */
export function lostPlaces(
  { nodes }: Pick<CertificateRecord, "nodes">,
  terminations: Terminations,
): { node: string; vipPort: number }[] {
  return everywhere(nodes).filter((place) => !isConfigured(terminations, place));
}

/**
 * Begins to take a removed certificate away from its nodes, or ends it where it is on none. Each node is noted first, as
 * the certificate is forgotten when the last one has let go of it.
 */
export async function beginRemoval(deps: RemovalDeps, record: CertificateRecord): Promise<void> {
  const places = placesOf(record, deps.terminations);
  const at = deps.clock.now();
  const unseen = places.filter(({ node }) => record.nodes?.[node] === undefined);
  await deps.certificates.noteNodes(
    unseen.map(({ node, vipPort }) => ({ id: record.id, node, state: { ok: false, at, vipPort } })),
    at,
  );
  await deps.certificates.noteNodes(
    lostPlaces(record, deps.terminations).map((place) => ({ ...place, id: record.id, state: undefined })),
    at,
  );
  const { id, generation, spec } = record;
  await deps.producer.deploy(places.map((place) => ({ ...place, id, generation, priority: spec.priority })));
  if (places.length === 0) await forgetIfGone(deps, id);
}

/** A node has let go of it under one port; under another one it may be on the same node still. */
export async function finishRemoval(
  deps: RemovalDeps,
  { id }: CertificateRecord,
  { name, vipPort }: Pick<NodeConfig, "name" | "vipPort">,
): Promise<void> {
  const event = { what: "taken away", detail: `${name} serves it no more` };
  await deps.certificates.noteNodes([{ id, node: name, state: undefined, vipPort, event }], deps.clock.now());
  await forgetIfGone(deps, id);
}

async function forgetIfGone({ certificates, files, clock }: RemovalDeps, id: string): Promise<void> {
  const record = await certificates.get(id);
  if (record?.status !== "removed" || Object.keys(record.nodes ?? {}).length > 0) return;
  await files.archive(id, clock.now());
  await certificates.forget(id, record.generation);
}
