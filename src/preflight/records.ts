import type { Family, Vips } from "../core/addresses.ts";
import type { Found } from "./found.ts";
import type { DnsRecord } from "./verdict.ts";

/** What stands for a value that nobody has told Certherd. */
export const UNKNOWN_VALUE = "the load balancer's address";
const NONE = "none";

const TYPES = { 4: "A", 6: "AAAA" } as const;

export interface AddressFault {
  found: Found;
  /** A sentence without its full stop. */
  why: string;
}

/**
 * The records that would lead a name to the load balancer: one for each family with a fault, set to the VIPs of that
 * family, or removed where there are none. Never all removed.
 */
export function pointingRecords(
  name: string,
  found: readonly Found[],
  faults: readonly AddressFault[],
  vips: Vips,
): DnsRecord[] {
  const main: Family = vips.areKnown && vips.of(4).length === 0 ? 6 : 4;
  if (found.length === 0) {
    return [
      { name, type: TYPES[main], set: wantedValue(main, vips), today: NONE, why: `${name} has no address` },
    ];
  }
  const records: DnsRecord[] = [];
  for (const family of [4, 6] as const) {
    const fault = faults.find((each) => each.found.family === family);
    if (fault === undefined) continue;
    records.push({
      name,
      type: TYPES[family],
      set: wantedValue(family, vips),
      today: addressesOf(found, family),
      why: fault.why,
    });
  }
  const isLeft = addressesOf(found, main) !== NONE;
  if (records.some((record) => record.set !== undefined) || isLeft) return records;
  const why = `${name} has no address of the load balancer`;
  return [{ name, type: TYPES[main], set: wantedValue(main, vips), today: NONE, why }, ...records];
}

function wantedValue(family: Family, vips: Vips): string | undefined {
  if (!vips.areKnown) return UNKNOWN_VALUE;
  const values = vips.of(family);
  return values.length === 0 ? undefined : values.join(" or ");
}

function addressesOf(found: readonly Found[], family: Family): string {
  const addresses = found.filter((each) => each.family === family).map(({ address }) => address);
  return addresses.length === 0 ? NONE : addresses.join(", ");
}

/** A record as a sentence to the customer. */
export function pointingSentence({ name, type, set, today, why }: DnsRecord, vips: Vips): string {
  if (set === undefined) return `${name} ${type} is to be removed; today it is ${today}.`;
  const now = today === NONE ? "today there is none" : `today it is ${today}`;
  if (vips.areKnown) return `${name} ${type} ${set} is to be set; ${now}.`;
  const reason = today === NONE ? "" : `: ${why}`;
  const removable = type === "AAAA" ? ", or its AAAA is to be removed" : "";
  return `${name} must point to ${UNKNOWN_VALUE}${removable}; ${now.replace("it is", `its ${type} is`)}${reason}.`;
}
