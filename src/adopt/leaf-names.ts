import type { X509Certificate } from "node:crypto";
import { checkName } from "../core/names.ts";
import { refuse } from "./found.ts";

/** "Up to 100 identifiers" a certificate: https://letsencrypt.org/docs/rate-limits/ */
const MAX_NAMES = 100;
/** certbot's `example.com-0001`, where there was an `example.com` already. */
const NUMBERED = /-\d{4}$/;

/** The names of a leaf, in its order; refuses one that holds what could not be ordered again. */
export function namesOf(leaf: X509Certificate): string[] {
  const entries = (leaf.subjectAltName ?? "").split(", ").filter((entry) => entry !== "");
  const foreign = entries.find((entry) => !entry.startsWith("DNS:"));
  if (foreign !== undefined)
    throw refuse("adopt_bad_name", `It holds "${foreign}", which is no DNS name and cannot be renewed here.`);
  if (entries.length === 0)
    throw refuse("adopt_bad_name", "It holds no names as subjectAltName, by which clients know it.");
  if (entries.length > MAX_NAMES)
    throw refuse("adopt_bad_name", `It has ${entries.length} names; ${MAX_NAMES} are the most for an order.`);
  const names = entries.map((entry) => {
    const checked = checkName(entry.slice("DNS:".length));
    if (checked.ok) return checked.name;
    throw refuse(
      "adopt_bad_name",
      `Its name ${entry.slice("DNS:".length)} cannot be ordered: ${checked.reason}.`,
    );
  });
  return [...new Set(names)];
}

/**
 * The same names, that one first by which the certificate goes: what the client calls it by, or the wildcard over
 * that, else the one in its subject.
 */
export function chooseFirst(names: readonly string[], calledBy: string, subject: string): string[] {
  const called = [calledBy, calledBy.replace(NUMBERED, "")].map(normal);
  const wanted = [...called, ...called.map((name) => `*.${name}`), normal(subject)];
  const first = wanted.find((name) => names.includes(name)) ?? names[0] ?? "";
  return [first, ...names.filter((name) => name !== first)];
}

/** A-labels, lower case; what is no name stays what it is. */
export function normal(text: string): string {
  const checked = checkName(text);
  return checked.ok ? checked.name : text;
}
