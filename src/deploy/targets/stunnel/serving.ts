import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import type { Clock } from "../../../core/clock.ts";
import type { Log } from "./process.ts";

/** Milliseconds. A reload takes 4.4 ms a service, and connections are refused meanwhile. */
const RELOAD = { least: 15_000, service: 10, between: 150 };
const HANDSHAKE = 3_000;
/** One would do, as stunnel takes its configuration as a whole or not at all. */
const PROBES = 3;

export interface Endpoint {
  address: string;
  port: number;
}

/** What a name is to be served with after a reload, or not any more. */
export interface Expected {
  name: string;
  serial: string;
  served: boolean;
}

/** The first, the last and the middle one. */
export function sample<T>(all: readonly T[]): T[] {
  if (all.length <= PROBES) return [...all];
  return [0, all.length >> 1, all.length - 1].flatMap((index) => all.slice(index, index + 1));
}

/** Whether each is so now. */
export async function isServed(node: Endpoint, expected: readonly Expected[]): Promise<boolean> {
  for (const one of expected) if (!(await holds(node, one))) return false;
  return true;
}

/**
 * Waits until a reload has come about: until the names are served as expected, or where there is nothing to expect,
 * until the log says so. `refused` where stunnel says that, or stays silent and goes on as before.
 */
export async function reloaded(
  node: Endpoint,
  expected: readonly Expected[],
  { log, services, clock }: { log: Log | undefined; services: number; clock: Clock },
): Promise<"taken" | "refused"> {
  const end = clock.now() + RELOAD.least + services * RELOAD.service;
  for (;;) {
    await log?.read();
    if (log?.verdict === "refused") return "refused";
    if (expected.length === 0 && (!log || log.verdict === "taken")) return "taken";
    if (expected.length > 0 && (await isServed(node, expected))) return "taken";
    if (clock.now() >= end) {
      // It has the new configuration, and who answers at the node's address is another matter.
      return expected.length === 0 || log?.verdict === "taken" ? "taken" : "refused";
    }
    await sleep(RELOAD.between);
  }
}

async function holds(node: Endpoint, { name, serial, served }: Expected): Promise<boolean> {
  const found = await servedSerial(node, name);
  return found !== undefined && (found === serial) === served;
}

/** Of the certificate that is served under a name; undefined where there is no handshake. */
export async function servedSerial({ address, port }: Endpoint, name: string): Promise<string | undefined> {
  // A label that no certificate's name has, and so no service of its own.
  const servername = name.replace(/^\*\./, "_.");
  return await new Promise((resolve) => {
    const socket = connect({ host: address, port, servername, rejectUnauthorized: false });
    const end = (serial?: string): void => {
      socket.destroy();
      resolve(serial);
    };
    socket.setTimeout(HANDSHAKE, () => end());
    socket.on("error", () => end());
    socket.on("close", () => end());
    socket.once("secureConnect", () => end(socket.getPeerX509Certificate()?.serialNumber.toUpperCase()));
  });
}
