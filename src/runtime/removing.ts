import { accountOf, type CertificateRecord, holderOf } from "../core/certificate.ts";
import { beginRemoval } from "../deploy/removal.ts";
import { everywhere } from "../deploy/rollout.ts";
import { settle } from "../store/settlement.ts";
import type { House } from "./house.ts";
import { ledgerOf, settlementDeps } from "./pausing.ts";

/** How often a removal is tried that was overtaken by a next try of its order. */
const TRIES = 5;

/**
 * Ends everything about a certificate: nothing is ordered or renewed for it, its nodes let go of it, its files go to the
 * archive, and it is forgotten as soon as the last node has done so. Returns it as it stood, or undefined when it was
 * asked for again in between.
 */
export async function removeCertificate(
  house: House,
  { id }: Pick<CertificateRecord, "id">,
): Promise<CertificateRecord | undefined> {
  let seen: CertificateRecord | undefined;
  for (let tries = 0; tries < TRIES; tries++) {
    const record = await house.certificates.get(id);
    // Somebody else has removed it meanwhile.
    if (!record) return seen;
    seen = record;
    if (record.status !== "removed") {
      // On disk first: what was once asked for is in the imports, and must not come back out of them.
      await house.removals.note(id, house.clock.now());
      const change = { status: "removed", reason: "person", event: { what: "removed" } } as const;
      if (!(await settleUnlessGone(house, record, change))) continue;
      const account = accountOf(record, house.config.cas[0].name);
      await house.producer.withdraw(account, record);
      await ledgerOf(house, account).release(holderOf(record));
    }
    await beginRemoval(house.deployDeps, { ...record, status: "removed" });
    return record;
  }
  return undefined;
}

/** False when it was overtaken. Its files are in the archive already where somebody else was faster with the same. */
async function settleUnlessGone(
  house: House,
  record: CertificateRecord,
  change: Parameters<typeof settle>[2],
): Promise<boolean> {
  try {
    return await settle(settlementDeps(house), record, change);
  } catch (error) {
    const now = await house.certificates.get(record.id);
    if (now === undefined || now.status === "removed") return false;
    throw error;
  }
}

/** Where it still is; "forgotten" when that is nowhere, "asked" when it has been asked for again. */
export async function stillOn(
  house: House,
  id: string,
): Promise<{ node: string; vipPort: number }[] | "forgotten" | "asked"> {
  const record = await house.certificates.get(id);
  if (record === undefined) return "forgotten";
  return record.status === "removed" ? everywhere(record.nodes) : "asked";
}
