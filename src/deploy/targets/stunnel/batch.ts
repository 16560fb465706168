import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { AppError } from "../../../core/errors.ts";
import type { Bundle } from "../../target.ts";
import { isServiceName, matches, type Service } from "./services.ts";
import type { Expected } from "./serving.ts";

/** One of each certificate, in the order in which they were put last. */
export function latest(bundles: readonly Bundle[]): Bundle[] {
  const byId = new Map<string, Bundle>();
  for (const bundle of bundles) {
    byId.delete(bundle.id);
    byId.set(bundle.id, bundle);
  }
  return [...byId.values()];
}

/** Why a certificate cannot be served, where that can be told from its names. */
export function unfit({ names }: Bundle, before: readonly string[]): string | undefined {
  const odd = names.find((name) => !isServiceName(name));
  if (odd !== undefined) return `its name ${odd} cannot stand in a configuration of stunnel`;
  for (const name of names) {
    const other = before.find((pattern) => matches(pattern, name));
    if (other !== undefined)
      return `stunnel has a service of another's for ${other} already, which it comes to first; take that one away`;
  }
  return undefined;
}

/** Of one certificate; the others of its batch go on. */
export function refusal({ names: [name] }: Bundle, why: string): AppError {
  return new AppError(`The certificate for ${name} was left out: ${why}.`, {
    code: "target_refused",
    disposition: "attention",
    identifier: name,
  });
}

/** One name of each that is served under any. */
export function expectations(bundles: readonly Bundle[], services: readonly Service[]): Expected[] {
  const names = new Map(services.map(({ id, name }) => [id, name]));
  return bundles.flatMap(({ id, serial }) => {
    const name = names.get(id);
    return name === undefined ? [] : [{ name, serial, served: true }];
  });
}

/** Nothing can be told from a PEM that is gone. */
export async function notServed({ name, cert }: Service): Promise<Expected[]> {
  try {
    const serial = new X509Certificate(await readFile(cert)).serialNumber.toUpperCase();
    return [{ name, serial, served: false }];
  } catch {
    return [];
  }
}
