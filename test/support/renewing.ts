/** Certificates whose renewal a test watches, with a CA whose windows it moves. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Installation, ListedCertificate } from "./certherd.ts";
import type { Pebble } from "./pebble.ts";

export interface Window {
  /** Milliseconds since the epoch. */
  start: number;
  end: number;
}

/** The CA suggests this window for the leaf that is in use now. */
export async function suggest(
  pebble: Pebble,
  house: Installation,
  name: string,
  { start, end }: Window,
  explanationURL?: string,
): Promise<void> {
  const pem = readFileSync(join(house.home, `certificates/${name}/${name}.cer`), "utf8");
  await pebble.setRenewalInfo(pem, {
    suggestedWindow: { start: new Date(start).toISOString(), end: new Date(end).toISOString() },
    ...(explanationURL === undefined ? {} : { explanationURL }),
  });
}

export interface Shown extends ListedCertificate {
  events: { at: string; what: string; detail?: string }[];
}

/** When each certificate was issued, milliseconds since the epoch, by its events: to the second. */
export function issuedAt({ events }: Pick<Shown, "events">): number[] {
  return events.filter(({ what }) => what === "issued").map(({ at }) => Date.parse(at));
}

/** How many orders the CA was told to replace a certificate. */
export function replacements(pebble: Pebble): number {
  return pebble.log().filter((line) => line.includes("is a replacement of")).length;
}

/**
 * Pebble does not find a certificate whose serial begins with a zero octet in DER, as its first bit is set, and answers
 * 500 to an order that replaces it: one in 256. That is its fault alone; such an order is made without, after seconds.
 */
export function confusesPebble({ serial = "" }: { serial?: string }): boolean {
  return /^(00)?[89A-F]/.test(serial);
}
