import { chmod, readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { eabMissing } from "../acme/account.ts";
import { needsEab } from "../acme/cas.ts";
import { readDirectory } from "../acme/directory.ts";
import type { CaConfig, Config } from "../config/load.ts";
import { humanDuration } from "../core/duration.ts";
import { asAppError, usageError } from "../core/errors.ts";
import { Breaker } from "../limits/breaker.ts";
import { FOLDER, makeFolder } from "../store/atomic.ts";
import { DnsInHouse } from "./dns01.ts";
import { caInForce, examineOffers, examineStrangers } from "./doctor-cas.ts";
import { examineResponder } from "./doctor-http.ts";
import { examineActivity, examineNodes } from "./doctor-nodes.ts";
import { exitCodeOf } from "./exit.ts";
import { type House, openHouse } from "./house.ts";

export interface Finding {
  what: string;
  ok: boolean;
  detail: string;
  /** What the command ends with when this is wrong. */
  exitCode: number;
}

/** Beyond this, nonces and validity are at risk (RFC 8555 sets no bound; CAs backdate by an hour). */
const SKEW = 60_000;
/** Folders whose keys are looked at. */
const MOST_LOOKED_AT = 1_000;
const LEAST_DISK = 100 * 1024 * 1024;

/** Looks at one thing after the other; what one needs from another that is wrong is left out. */
export async function* examine(config: Config): AsyncGenerator<Finding> {
  yield await check("home", () => checkHome(config.home));
  yield await check("disk", () => checkDisk(config.home));
  let house: House | undefined;
  yield await check("redis", async () => {
    house = await openHouse(config, () => undefined, "doctor");
    const version = /redis_version:(\S+)/.exec(await house.redis.info("server"))?.[1];
    return `Redis ${version} answers, and keeps what it is given.`;
  });
  yield caInForce(config);
  for (const ca of config.cas) yield await check(`ca ${ca.name}`, () => checkCa(ca, house));
  if (house === undefined) return;
  try {
    const opened: House = house;
    yield await check("redis settings", () => checkRedis(opened));
    yield examineActivity(house);
    yield await checkRoles(house);
    for (const ca of config.cas) yield await checkAccount(house, ca.name);
    yield* examineOffers(house);
    yield* examineStrangers(house);
    for (const port of await house.responders.asked()) yield await checkPort(house, port);
    yield* examineResponder(house);
    yield* examineNodes(house);
    for (const { name, zones } of config.dns01.providers)
      for (const zone of zones) yield await check(`dns ${name} ${zone}`, () => checkZone(opened, zone));
  } finally {
    await house.close();
  }
}

async function check(what: string, look: () => Promise<string>): Promise<Finding> {
  try {
    return { what, ok: true, detail: await look(), exitCode: 0 };
  } catch (thrown) {
    const { message } = asAppError(thrown);
    const exitCode = Math.max(1, exitCodeOf(thrown));
    return { what, ok: false, detail: message, exitCode };
  }
}

/** Changes nothing: whether the provider's key is right shows with the first record. */
async function checkZone(house: House, zone: string): Promise<string> {
  const { name, zone: parent, provider } = await new DnsInHouse(house).place(zone);
  return `Challenges below ${zone} are answered in the zone ${parent} (${name}), by the provider ${provider}.`;
}

/** It works without an append-only file; what a restart loses then is put back from the files. */
async function checkRedis({ redis, config }: House): Promise<string> {
  if (config.redisUrl === undefined) return "The private one, with an append-only file.";
  const info = await redis.info("persistence");
  return /aof_enabled:1/.test(info)
    ? "Evicts nothing, and has an append-only file."
    : "Evicts nothing, but has no append-only file: a restart loses what has happened since its last snapshot, and orders in hand may be made again. Set appendonly yes.";
}

async function checkHome(home: string): Promise<string> {
  await makeFolder(home);
  const { mode } = await stat(home);
  if ((mode & 0o077) !== 0) await chmod(home, FOLDER);
  const open = await openKeys(home);
  if (open.length > 0)
    throw new Error(`Private keys can be read by others: ${open.join(", ")}; chmod 600 them.`);
  return (mode & 0o077) === 0
    ? `${home} is this user's alone.`
    : `${home} was open to others, and is this user's alone now.`;
}

/** Keys that others can read, among the accounts' and the first certificates': by hand, or from a backup. */
async function openKeys(home: string): Promise<string[]> {
  const open: string[] = [];
  for (const folder of ["accounts", "certificates"]) {
    const entries = (await readdir(join(home, folder)).catch(() => [])).slice(0, MOST_LOOKED_AT);
    for (const entry of entries)
      for (const file of await readdir(join(home, folder, entry)).catch(() => [])) {
        const path = join(home, folder, entry, file);
        if (!file.endsWith(".key")) continue;
        if (((await stat(path)).mode & 0o077) !== 0) open.push(path);
      }
  }
  return open.slice(0, 5);
}

async function checkDisk(home: string): Promise<string> {
  const { bavail, bsize } = await statfs(home);
  const free = bavail * bsize;
  const megabytes = Math.round(free / 1024 / 1024);
  if (free < LEAST_DISK) throw new Error(`Only ${megabytes} MB are free in ${home}; make room.`);
  return `${megabytes} MB are free.`;
}

async function checkCa(ca: CaConfig, house: House | undefined): Promise<string> {
  const registered = (await house?.accountFiles.load(ca.name))?.directory === ca.directory;
  // Known beforehand of some: no request is spent on it. An account that is there needs none any more.
  if (needsEab(ca.directory) && !ca.eab && !registered) throw usageError("eab_missing", eabMissing(ca.name));
  const { skew, latency, newOrder, externalAccountRequired } = await readDirectory(ca);
  if (!newOrder) throw new Error(`${ca.directory} is no ACME directory; correct the URL.`);
  if (Math.abs(skew) > SKEW)
    throw new Error(
      `This host's clock is ${humanDuration(Math.abs(skew))} ${skew > 0 ? "ahead of" : "behind"} the CA's; set it right (NTP).`,
    );
  if (externalAccountRequired && !ca.eab && !registered) throw usageError("eab_missing", eabMissing(ca.name));
  return `${ca.directory} answers in ${latency} ms; the clocks agree.`;
}

/** Whether anything of the account goes on. */
async function checkAccount({ redis, stops }: House, ca: string): Promise<Finding> {
  const stopped = await stops.reason(ca);
  const broken = await new Breaker(redis, ca).state();
  const detail = stopped
    ? `Stopped: ${stopped.message}${stopped.code === "user_action_required" ? "" : " Mend that, then: certherd retry"}`
    : broken
      ? `Paused after ${broken.count} failures in a row (${broken.detail}); one certificate at a time tries again. When it is mended: certherd retry`
      : "Orders go on.";
  return { what: `account ${ca}`, ok: !stopped && !broken, detail, exitCode: 1 };
}

async function checkRoles(house: House): Promise<Finding> {
  const roles = await house.alive.roles(Date.now());
  const ok = roles.has("issue") && roles.has("respond");
  const detail = ok
    ? `Running: ${[...roles].sort().join(", ")}.`
    : "Nothing issues here now; start `certherd up` (import --wait and issue work without it).";
  return { what: "workers", ok, detail, exitCode: 1 };
}

async function checkPort(house: House, port: number): Promise<Finding> {
  const states = (await house.responders.states(port, Date.now())).filter((state) => state !== undefined);
  // Of two processes on one host the first one has the port, and answers for both.
  const ok = states.includes("ok") || states.length === 0;
  const detail = states.includes("ok")
    ? "http-01 is answered there."
    : (states[0] ?? "No responder runs now.");
  return { what: `acme port ${port}`, ok, detail, exitCode: 1 };
}
