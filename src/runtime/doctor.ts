import { chmod, stat, statfs } from "node:fs/promises";
import { readDirectory } from "../acme/directory.ts";
import type { CaConfig, Config } from "../config/load.ts";
import { humanDuration } from "../core/duration.ts";
import { asAppError } from "../core/errors.ts";
import { Breaker } from "../limits/breaker.ts";
import { FOLDER, makeFolder } from "../store/atomic.ts";
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
  for (const ca of config.cas) yield await check(`ca ${ca.name}`, () => checkCa(ca));
  if (house === undefined) return;
  try {
    yield await checkRoles(house);
    for (const ca of config.cas) yield await checkAccount(house, ca.name);
    for (const port of await house.responders.asked()) yield await checkPort(house, port);
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

async function checkHome(home: string): Promise<string> {
  await makeFolder(home);
  const { mode } = await stat(home);
  if ((mode & 0o077) === 0) return `${home} is this user's alone.`;
  await chmod(home, FOLDER);
  return `${home} was open to others, and is this user's alone now.`;
}

async function checkDisk(home: string): Promise<string> {
  const { bavail, bsize } = await statfs(home);
  const free = bavail * bsize;
  const megabytes = Math.round(free / 1024 / 1024);
  if (free < LEAST_DISK) throw new Error(`Only ${megabytes} MB are free in ${home}; make room.`);
  return `${megabytes} MB are free.`;
}

async function checkCa(ca: CaConfig): Promise<string> {
  const { skew, latency, newOrder, externalAccountRequired } = await readDirectory(ca);
  if (!newOrder) throw new Error(`${ca.directory} is no ACME directory; correct the URL.`);
  if (Math.abs(skew) > SKEW)
    throw new Error(
      `This host's clock is ${humanDuration(Math.abs(skew))} ${skew > 0 ? "ahead of" : "behind"} the CA's; set it right (NTP).`,
    );
  if (externalAccountRequired && !ca.eab)
    throw new Error("It wants external account binding; set CERTHERD_EAB_KID and CERTHERD_EAB_HMAC.");
  return `${ca.directory} answers in ${latency} ms; the clocks agree.`;
}

/** Whether anything of the account goes on. */
async function checkAccount({ redis, stops }: House, ca: string): Promise<Finding> {
  const stopped = await stops.reason(ca);
  const broken = await new Breaker(redis, ca).state();
  const detail = stopped
    ? `Stopped: ${stopped.message} Mend that, then: certherd retry`
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
