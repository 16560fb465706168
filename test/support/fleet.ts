/** Many certificates from a CSV to real nodes: what the tests of whole fleets have in common. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Stage } from "../../scripts/stage.ts";
import { served } from "../../src/deploy/served.ts";
import { byStatus, type Installation, type ListedCertificate } from "./certherd.ts";
import type { Haproxy } from "./haproxy.ts";
import { waitUntil } from "./temp.ts";

/** Handshakes at once. */
const LOOKS = 16;

export function fleetNames(count: number, prefix = "host"): string[] {
  return Array.from({ length: count }, (_, n) => `${prefix}${n}.customer${n % 97}.example`);
}

export function fleetCsv(house: Installation, { acmePort }: Stage, names: readonly string[]): string {
  return house.csv(
    `${names[0]}.csv`,
    names.map((name) => `${name},443,${acmePort}`),
  );
}

export interface Until {
  timeoutMs: number;
  everyMs?: number;
  /** Called with each list. */
  seen?: (certificates: readonly ListedCertificate[]) => Promise<void> | void;
}

/** Waits until so many certificates stand in a status. Returns the last list. */
export async function untilStatus(
  house: Installation,
  status: string,
  count: number,
  { timeoutMs, everyMs = 500, seen }: Until,
): Promise<ListedCertificate[]> {
  let last: ListedCertificate[] = [];
  const there = async (): Promise<boolean> => {
    last = await house.list();
    await seen?.(last);
    return (byStatus(last)[status] ?? 0) === count;
  };
  try {
    await waitUntil(there, { timeoutMs, everyMs, what: `${count} certificates ${status}` });
  } catch (error) {
    throw new Error(`of ${count} wanted ${status}: ${JSON.stringify(byStatus(last))}`, { cause: error });
  }
  return last;
}

/** The names under which a node serves something else than it should, with what. */
export async function servedOtherwise(
  port: number,
  certificates: readonly Pick<ListedCertificate, "name" | "serial">[],
): Promise<string[]> {
  const wrong: string[] = [];
  const left = [...certificates];
  const look = async (): Promise<void> => {
    for (let next = left.pop(); next; next = left.pop()) {
      const { serial } = await served({ address: "127.0.0.1", port }, next.name, { timeout: 5_000 });
      if (serial !== next.serial) wrong.push(`${next.name}: ${serial} instead of ${next.serial}`);
    }
  };
  await Promise.all(Array.from({ length: LOOKS }, look));
  return wrong;
}

export interface ProcessSeen {
  pid: number;
  uptime: number;
}

/** Another process id, or an uptime that began anew, would tell of a reload. */
export async function processOf({ command }: Haproxy): Promise<ProcessSeen> {
  const text = await command("show info\n");
  const field = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, "m").exec(text)?.[1]);
  return { pid: field("Pid"), uptime: field("Uptime_sec") };
}

/**
 * What a node looks like that was never disturbed: no transaction open, each file whole and with its own key, and in
 * the crt-list once, on disk and in memory.
 */
export async function expectClean(node: Haproxy, names: readonly string[]): Promise<void> {
  const files = names.map((name) => join(node.certDir, `${name}.pem`)).sort();
  const transactions = (await node.command("show ssl cert\n")).split("# filename")[0] ?? "";
  expect(transactions, "an open transaction").not.toContain("# transaction");
  expect(
    readdirSync(node.certDir)
      .map((file) => join(node.certDir, file))
      .sort(),
    "files in the folder of certificates",
  ).toEqual(files);
  expect(
    files.filter((file) => !isWhole(file)),
    "files that are not whole",
  ).toEqual([]);
  expect(
    readdirSync(node.dir).filter((file) => /^\.(tmp|certherd)-/.test(file)),
    "rests",
  ).toEqual([]);
  expect(listedIn(readFileSync(node.crtList, "utf8")), "the crt-list on disk").toEqual(files);
  expect(listedIn(await node.command(`show ssl crt-list ${node.crtList}\n`)), "in memory").toEqual(files);
}

/** Key, leaf and chain are there, and belong to each other. */
function isWhole(file: string): boolean {
  const pem = readFileSync(file, "utf8");
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const key = /-----BEGIN ([A-Z ]*)PRIVATE KEY-----[^-]+-----END \1PRIVATE KEY-----/.exec(pem)?.[0];
  const [leaf, issuer] = certificates.map((text) => new X509Certificate(text));
  if (!leaf || !issuer || key === undefined) return false;
  return leaf.checkPrivateKey(createPrivateKey(key)) && leaf.checkIssued(issuer);
}

function listedIn(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("/"))
    .map((line) => line.split(/[\s[]/)[0] ?? "")
    .sort();
}
