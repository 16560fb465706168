import { setTimeout as sleep } from "node:timers/promises";
import type { CertificateRecord } from "../core/certificate.ts";
import { AppError } from "../core/errors.ts";
import type { House } from "../runtime/house.ts";
import { removeCertificate, revokeLeaf, stillOn } from "../runtime/removing.ts";
import { InProcessWorkers } from "./house.ts";

/** Milliseconds between two looks at whether the nodes have let go. */
const LOOK = 100;
/** Looks between two looks at whether somebody deploys. */
const WORKERS_EVERY = 20;

export interface RemovalReport {
  name: string;
  removed: boolean;
  revoked: boolean;
  /** Nodes that could not be reached: they let go of it as soon as they can. */
  owed: string[];
}

/**
 * Removes a certificate and waits until its nodes have let go of it, at most `max` milliseconds, working itself where
 * nobody else does. It is revoked last, so that no node is caught serving what is revoked.
 */
export async function removeAndWait(
  house: House,
  record: CertificateRecord,
  { revoke, max }: { revoke: boolean; max: number },
): Promise<RemovalReport> {
  const bundle = revoke ? await house.certificateFiles.bundle(record.id) : undefined;
  if (revoke && !bundle)
    throw new AppError(
      `${record.spec.names[0]} has no certificate that could be revoked; leave out --revoke.`,
      { code: "nothing_to_revoke", disposition: "usage" },
    );
  const removed = await removeCertificate(house, record);
  const owed = removed ? await waitForNodes(house, record.id, max) : [];
  if (removed && bundle) await revokeLeaf(house, removed, bundle.leafPem);
  const name = record.spec.names[0] ?? record.id;
  return {
    name,
    removed: removed !== undefined,
    revoked: bundle !== undefined && removed !== undefined,
    owed,
  };
}

async function waitForNodes(house: House, id: string, max: number): Promise<string[]> {
  const workers = new InProcessWorkers(house);
  const until = Date.now() + max;
  try {
    for (let looks = 0; ; looks++) {
      const left = await stillOn(house, id);
      if (left === undefined) return [];
      if (Date.now() >= until) return left;
      const faults = await house.nodes.faults(left);
      if (left.length > 0 && left.every((node) => faults.has(node))) return left;
      if (looks % WORKERS_EVERY === 0) await workers.ensure(["deploy"]);
      await sleep(LOOK);
    }
  } finally {
    await workers.close();
  }
}
