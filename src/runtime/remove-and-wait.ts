import { setTimeout as sleep } from "node:timers/promises";
import type { Removal } from "../api/schemas/actions.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import { AppError, asAppError } from "../core/errors.ts";
import { lostPlaces } from "../deploy/removal.ts";
import type { House } from "./house.ts";
import { removeCertificate, stillOn } from "./removing.ts";
import { caOfLeaf, checkRevocable, revokeLeaf } from "./revoking.ts";

/** Milliseconds between two looks at whether the nodes have let go. */
const LOOK = 100;
/** Looks between two looks at whether somebody deploys. */
const WORKERS_EVERY = 20;

export type { Removal };

export interface RemovalRequest {
  revoke: boolean;
  /** Milliseconds. */
  max: number;
  /** Sees to it that somebody deploys; called again and again while nodes are waited for. */
  ensureWorkers?: () => Promise<void>;
}

/**
 * Removes a certificate and waits until its nodes have let go of it, at most `max` milliseconds. It is revoked last, and
 * only when no node serves it any more.
 */
export async function removeAndWait(
  house: House,
  record: CertificateRecord,
  { revoke, max, ensureWorkers = async () => undefined }: RemovalRequest,
): Promise<Removal> {
  const name = record.spec.names[0] ?? record.id;
  // Before anything is taken away: afterwards it would be too late to find that it cannot be revoked.
  const revocation = revoke ? await prepareRevocation(house, record, name) : undefined;
  const lost = lostPlaces(record, house.config.terminations).map(({ node, vipPort }) => `${node}:${vipPort}`);
  const removed = (await removeCertificate(house, record)) !== undefined;
  const owed = removed ? await waitForNodes(house, record.id, max, ensureWorkers) : "asked";
  if (owed === "asked") return { name, removed: false, revoked: false, owed: [], lost };
  const report: Removal = { name, removed, revoked: false, owed, lost };
  if (!revocation) return report;
  if (owed.length > 0)
    return {
      ...report,
      notRevoked: `${owed.join(", ")} may still serve it. Once that is over: ${again(house)}`,
    };
  try {
    await revocation();
    return { ...report, revoked: true };
  } catch (thrown) {
    return { ...report, notRevoked: `${asAppError(thrown).message} Once that is mended: ${again(house)}` };
  }
}

function again({ config }: House): string {
  return `certherd revoke FILE, with its certificate from ${config.home}/archive`;
}

async function prepareRevocation(
  house: House,
  record: CertificateRecord,
  name: string,
): Promise<() => Promise<void>> {
  const bundle = await house.certificateFiles.bundle(record.id);
  if (!bundle)
    throw new AppError(`${name} has no certificate that could be revoked; leave out --revoke.`, {
      code: "nothing_to_revoke",
      disposition: "usage",
    });
  const ca = caOfLeaf(house, name, record.leaf);
  await checkRevocable(ca);
  return () => revokeLeaf(house, ca, bundle.leafPem, "cessationOfOperation");
}

/** The nodes that still have it, or "asked" where it has been asked for again meanwhile. */
async function waitForNodes(
  house: House,
  id: string,
  max: number,
  ensureWorkers: () => Promise<void>,
): Promise<string[] | "asked"> {
  const until = Date.now() + max;
  for (let looks = 0; ; looks++) {
    const left = await stillOn(house, id);
    if (left === "forgotten") return [];
    if (left === "asked") return left;
    const names = [...new Set(left.map(({ node }) => node))];
    if (Date.now() >= until) return names;
    const faults = await house.nodes.faults(left.map(({ node, vipPort }) => ({ name: node, vipPort })));
    if (left.length > 0 && faults.size === left.length) return names;
    if (looks % WORKERS_EVERY === 0) await ensureWorkers();
    await sleep(LOOK);
  }
}
