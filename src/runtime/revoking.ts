import { readDirectory } from "../acme/directory.ts";
import type { CaConfig } from "../config/cas.ts";
import { type CertificateRecord, lookAt } from "../core/certificate.ts";
import { AppError } from "../core/errors.ts";
import { REVOCATION_REASONS, type RevocationReason } from "../core/revocation.ts";
import { CaAccount } from "./accounts.ts";
import type { House } from "./house.ts";

/** The CA that a leaf is from; throws `ca_unknown` (usage) where it is configured no more. */
export function caOfLeaf(
  { config }: Pick<House, "config">,
  name: string,
  leaf: { ca?: string } | undefined,
): CaConfig {
  const ca = config.cas.find((each) => each.name === leaf?.ca);
  if (ca) return ca;
  throw new AppError(
    `The certificate of ${name} is from ${leaf?.ca ?? "a CA that is not known"}, which is not configured any more; add it to cas to revoke it.`,
    { code: "ca_unknown", disposition: "usage" },
  );
}

/** Looks whether the CA can be asked at all, before something is done that its revocation is to follow. */
export async function checkRevocable(ca: CaConfig): Promise<void> {
  await readDirectory(ca);
}

/** Tells the CA that a leaf is not to be trusted any more; one that is revoked already is no failure. */
export async function revokeLeaf(
  house: House,
  ca: CaConfig,
  leafPem: string,
  reason: RevocationReason,
): Promise<void> {
  const account = new CaAccount(ca, house.config, house.redis, house.clock);
  try {
    await (await account.session()).revoke(leafPem, REVOCATION_REASONS[reason]);
  } finally {
    await account.close();
  }
}

/**
 * Notes that the leaf in use was revoked: its key is not used again, and whoever looks sees it. The index first, and then
 * the files, which tell it after a lost Redis.
 */
export async function noteRevoked(
  house: House,
  { id, leaf, schedule = {} }: CertificateRecord,
  reason: RevocationReason,
): Promise<void> {
  const { renewals, certificateFiles, clock } = house;
  if (!leaf) return;
  const now = clock.now();
  const event = { what: "revoked", detail: `serial ${leaf.serial}, ${reason}` };
  const { serial, renewAt } = leaf;
  await renewals.note(
    [{ id, serial, renewAt, schedule, lookAt: lookAt({ leaf, schedule }), revokedAt: now, event }],
    now,
  );
  const file = await certificateFiles.read(id);
  if (file?.leaf?.serial === serial)
    await certificateFiles.saveState(id, { ...file, leaf: { ...file.leaf, revokedAt: now } });
}

export interface Revocation {
  name: string;
  serial: string;
  /** The import that its replacement was ordered with; missing where none was ordered. */
  importId?: string;
}

/** Revokes the leaf in use, notes that, and orders another one unless that is not wanted. */
export async function revokeAndOrder(
  house: House,
  record: CertificateRecord,
  { reason, replace }: { reason: RevocationReason; replace: boolean },
): Promise<Revocation> {
  const [name = record.id] = record.spec.names;
  const bundle = await house.certificateFiles.bundle(record.id);
  if (!bundle || !record.leaf)
    throw new AppError(`${name} has no certificate that could be revoked.`, {
      code: "nothing_to_revoke",
      disposition: "usage",
    });
  await revokeLeaf(house, caOfLeaf(house, name, record.leaf), bundle.leafPem, reason);
  await noteRevoked(house, record, reason);
  const { serial } = bundle;
  if (!replace || record.status === "paused" || record.status === "removed") return { name, serial };
  const { importId } = await house.orderAgain(one(record), `certherd revoke ${name}`);
  return { name, serial, importId };
}

async function* one(record: CertificateRecord): AsyncGenerator<readonly CertificateRecord[]> {
  yield [record];
}
