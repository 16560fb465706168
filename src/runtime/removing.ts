import { accountOf, type CertificateRecord, holderOf } from "../core/certificate.ts";
import { AppError } from "../core/errors.ts";
import { beginRemoval } from "../deploy/removal.ts";
import { settle } from "../store/settlement.ts";
import { CaAccount } from "./accounts.ts";
import type { House } from "./house.ts";
import { ledgerOf, settlementDeps } from "./pausing.ts";

/** How often a removal is tried that was overtaken by a next try of its order. */
const TRIES = 5;
/** RFC 5280 §5.3.1: the names are not served under this certificate any more. */
const CESSATION_OF_OPERATION = 5;

/**
 * Ends everything about a certificate: nothing is ordered or renewed for it, its nodes let go of it, its files go to the
 * archive, and it is forgotten as soon as the last node has done so. Returns it as it stood, or undefined when it was
 * asked for again in between.
 */
export async function removeCertificate(
  house: House,
  { id }: Pick<CertificateRecord, "id">,
): Promise<CertificateRecord | undefined> {
  for (let tries = 0; tries < TRIES; tries++) {
    const record = await house.certificates.get(id);
    if (!record) return undefined;
    if (record.status !== "removed") {
      // On disk first: what was once asked for is in the imports, and must not come back out of them.
      await house.removals.note(id, house.clock.now());
      const change = { status: "removed", reason: "person", event: { what: "removed" } } as const;
      if (!(await settle(settlementDeps(house), record, change))) continue;
      const account = accountOf(record, house.config.cas[0].name);
      await house.producer.withdraw(account, record);
      await ledgerOf(house, account).release(holderOf(record));
    }
    await beginRemoval(house.deployDeps, { ...record, status: "removed" });
    return record;
  }
  return undefined;
}

/** The nodes that have not let go of it yet; undefined when it is forgotten. */
export async function stillOn(house: House, id: string): Promise<string[] | undefined> {
  const record = await house.certificates.get(id);
  return record?.status === "removed" ? Object.keys(record.nodes ?? {}) : undefined;
}

/** Tells the CA that a leaf is not to be trusted any more. `reason` is a code of RFC 5280 §5.3.1. */
export async function revokeLeaf(
  house: House,
  { spec, leaf }: CertificateRecord,
  leafPem: string,
  reason = CESSATION_OF_OPERATION,
): Promise<void> {
  const ca = house.config.cas.find(({ name }) => name === leaf?.ca);
  if (!ca)
    throw new AppError(
      `The certificate of ${spec.names[0]} is from ${leaf?.ca ?? "a CA that is not known"}, which is not configured any more; add it to cas to revoke it.`,
      { code: "ca_unknown", disposition: "usage" },
    );
  const account = new CaAccount(ca, house.config, house.redis, house.clock);
  try {
    await (await account.session()).revoke(leafPem, reason);
  } finally {
    await account.close();
  }
}
