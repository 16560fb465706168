import { type CertificateRecord, namesKey } from "../core/certificate.ts";
import { AppError } from "../core/errors.ts";
import { type Exemption, exemptionOf } from "../limits/buckets.ts";
import type { OrderJob } from "../queue/names.ts";
import type { Account, IssuanceDeps } from "./ports.ts";

type Asked = Pick<OrderJob, "plain">;

/**
 * The certID by which an order tells what it renews (RFC 9773 §5): a leaf of this CA, for the same names. Undefined
 * where there is none, or where the CA would not have it said.
 */
export async function replacesOf(
  account: Account,
  { spec, leaf }: CertificateRecord,
  { plain }: Asked,
): Promise<string | undefined> {
  if (plain || leaf?.certId === undefined || leaf.ca !== account.name) return undefined;
  if (leaf.set !== namesKey(spec.names)) return undefined;
  return (await account.suggestsRenewals()) ? leaf.certId : undefined;
}

/** What an order of this certificate need not pay for, as it would be asked for now. */
export function exemptionNow(
  { account, clock }: Pick<IssuanceDeps, "account" | "clock">,
  { spec, leaf, schedule }: Pick<CertificateRecord, "spec" | "leaf" | "schedule">,
  { plain }: Asked = {},
): Exemption {
  const window = plain || leaf?.certId === undefined ? undefined : schedule?.window;
  const renewed = leaf && { ...leaf, window };
  return exemptionOf(spec.names, renewed, account.name, account.ledger.limits, clock.now());
}

/** Tries in a row that have ended with an error of the CA's own, until it is asked without. */
const BREAKS = 2;

/**
 * Codes of what a CA may have against `replaces` (RFC 9773 §5): it has been replaced, by an order whose answer was lost
 * perhaps; it is not known, or another account's. The same order without it is taken, or refused for what is wrong.
 */
const REFUSALS = new Set([
  "already_replaced",
  "malformed",
  "unauthorized",
  "not_found",
  "http_400",
  "http_403",
  "http_404",
  "http_409",
]);

export function isReplacementRefused(
  error: unknown,
  { transient = 0 }: Pick<OrderJob, "transient">,
): boolean {
  if (!(error instanceof AppError)) return false;
  if (REFUSALS.has(error.code)) return true;
  // It answers, and breaks again and again: it may be over what is replaced (Pebble is, over some serials).
  const breaks = error.code === "server_internal" || error.code.startsWith("http_5");
  return breaks && transient >= BREAKS;
}
