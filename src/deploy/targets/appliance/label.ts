import { createHash } from "node:crypto";
import { grouped } from "../../../core/grouped.ts";
import type { Bundle, Removal } from "../../target.ts";

/** With what follows it, and an ending, below the 255 bytes of a file's name. */
const LONGEST_STEM = 200;

/**
 * The label of one certificate on the appliance: `<id>-<tag>-<serial>-<hash>`, of letters, digits, dots, hyphens and _.
 *
 * - The tag is of VIP and names. Which entries use a label cannot be asked for, and an entry whose label is gone keeps
 *   stunnel from reloading. Those of another tag may be used by another VIP, or by a name that the certificate had once
 *   and has no more; so only those of the same tag are ever deleted.
 * - The serial is cut to 8 digits for people. Some CAs count up, and then many begin alike: hence the hash of all of it.
 */
export function labelOf(vip: string, bundle: Pick<Bundle, "id" | "names" | "serial">): string {
  const { serial } = bundle;
  return `${prefixOf(vip, bundle)}${serial.slice(0, 8)}-${short(serial)}`;
}

/** Those of a certificate, whatever their serials, among the words of the appliance's list. */
export class Labels {
  readonly #vip: string;
  readonly #byPrefix: ReadonlyMap<string, string[]>;

  constructor(vip: string, words: Iterable<string>) {
    this.#vip = vip;
    const labels = Array.from(words).filter((word) => OURS.test(word));
    this.#byPrefix = grouped(labels, (label) => label.replace(OURS, ""));
  }

  /** Of all certificates, those of other VIPs too. */
  get size(): number {
    return [...this.#byPrefix.values()].reduce((sum, { length }) => sum + length, 0);
  }

  of(certificate: Removal): string[] {
    return this.#byPrefix.get(prefixOf(this.#vip, certificate)) ?? [];
  }
}

/** Serial and hash, at the end. */
const OURS = /(?<=-[0-9a-f]{8}-)[0-9A-F]{1,8}-[0-9a-f]{8}$/;

function prefixOf(vip: string, { id, names }: Removal): string {
  const stem = id.length <= LONGEST_STEM ? id : `${id.slice(0, 160)}-${short(id)}`;
  return `${stem}-${short(`${vip}\n${[...names].sort().join("\n")}`)}-`;
}

function short(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
