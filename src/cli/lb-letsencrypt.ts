import { parseArgs } from "node:util";
import { usageError } from "../core/errors.ts";
import { exitCodeOf, explain } from "../runtime/exit.ts";
import type { House } from "../runtime/house.ts";
import { removeAndWait } from "../runtime/remove-and-wait.ts";
import { version } from "../runtime/version.ts";
import { actor } from "./actor.ts";
import { issueOne } from "./commands/issue.ts";
import { findCertificate } from "./commands/show.ts";
import { InProcessWorkers, NOBODY_RENEWS, someoneRenews, withHouse, withRestoredHouse } from "./house.ts";
import { runBulk } from "./lb-bulk.ts";
import { failure, notYetRemoved, overtaken, removed, success } from "./lb-words.ts";
import { type Io, note, outliveReader, print, processIo } from "./output.ts";

const HELP = `Usage: lb-letsencrypt -i -p VIPPORT -h ACMEPORT -d DOMAIN [-d DOMAIN ...] [-f FROM -t TO -r RELAY [-x PORT]]
       lb-letsencrypt -b FILE
       lb-letsencrypt -D -d DOMAIN
       lb-letsencrypt -u | --help

  -i         issue one certificate
  -b FILE    issue for every row of a CSV: DOMAIN,VIPPort,ACMEPort,FROMAddr,TOAddr,RELAYAddr,RELAYPort
  -D         delete the certificate of a domain, from the load balancer too
  -p PORT    port of the VIP that the certificate is for (443)
  -h PORT    port that answers the ACME challenge, behind port 80 (8888)
  -d NAME    a domain; given again, further names of the same certificate
  -f ADDR    sender of mail
  -t ADDR    recipient of mail
  -r HOST    mail relay
  -x PORT    port of the mail relay (25)
  -u         check versions; there is nothing to install
  --help     this text

Examples:
  lb-letsencrypt -i -p 443 -h 8888 -d foo.moo.com
  lb-letsencrypt -i -d foo.moo.com -d www.foo.moo.com -f lb@moo.com -t ops@moo.com -r mail.moo.com -x 25
  lb-letsencrypt -b domains.csv
  lb-letsencrypt -D -d foo.moo.com

It is certherd underneath, with the same files and limits; see certherd --help.`;

const OPTIONS = {
  i: { type: "boolean", short: "i" },
  b: { type: "string", short: "b" },
  p: { type: "string", short: "p" },
  h: { type: "string", short: "h" },
  d: { type: "string", short: "d", multiple: true },
  f: { type: "string", short: "f" },
  t: { type: "string", short: "t" },
  r: { type: "string", short: "r" },
  x: { type: "string", short: "x" },
  u: { type: "boolean", short: "u" },
  D: { type: "boolean", short: "D" },
  help: { type: "boolean" },
} as const;

/** Milliseconds for which nodes are waited for: longer than stunnel's reloads are apart. */
const NODES_PATIENCE = 120_000;

/** The original script's command line, with its meaning: `-h` is the ACME port. Returns the exit code. */
export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  outliveReader(io);
  try {
    const given = parse(argv);
    if (given.help || argv.length === 0) {
      print(io, HELP);
      return given.help ? 0 : 2;
    }
    if (given.u) return await checkVersions(io);
    const modes = [given.i && "-i", given.b !== undefined && "-b", given.D && "-D"].filter(Boolean);
    if (modes.length > 1) throw misuse(`${modes.join(" and ")} cannot be given together`);
    if (given.D) return await remove(io, given.d);
    if (given.b !== undefined) return await bulk(io, given.b, given.d);
    if (given.i) return await single(io, given);
    throw misuse("give -i for one certificate, -b FILE for many, or -D to delete one");
  } catch (error) {
    note(io, explain(error));
    return exitCodeOf(error);
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw misuse(error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error));
  }
}

function misuse(what: string): Error {
  return usageError("usage", `${what.replace(/\.$/, "")}; lb-letsencrypt --help shows how it is used.`);
}

/** The original installed acme.sh at this place: here everything comes with the program. */
async function checkVersions(io: Io): Promise<number> {
  return await withHouse(io, async (house) => {
    const redis = /(?:valkey|redis)_version:(\S+)/.exec(await house.redis.info("server"))?.[1];
    print(
      io,
      `certherd ${version()} on Node ${process.version}, Redis ${redis}: there is nothing to install.`,
    );
    return 0;
  });
}

async function remove(io: Io, domains: readonly string[] | undefined): Promise<number> {
  const [domain, ...more] = domains ?? [];
  if (domain === undefined || more.length > 0) throw misuse("-D needs one -d DOMAIN");
  return await withRestoredHouse(io, async (house) => {
    const record = await findCertificate(house, domain);
    await house.audit.note({ by: actor(), action: "remove", record });
    const workers = new InProcessWorkers(house);
    const ensureWorkers = (): Promise<void> => workers.ensure(["deploy"]);
    const request = { revoke: false, max: NODES_PATIENCE, ensureWorkers };
    const report = await removeAndWait(house, record, request).finally(() => workers.close());
    const { name, owed } = report;
    const words = !report.removed
      ? overtaken(name)
      : owed.length > 0
        ? notYetRemoved(name, owed)
        : removed(name);
    print(io, words);
    house.tell(words);
    return report.removed && owed.length === 0 ? 0 : 1;
  });
}

async function bulk(io: Io, file: string, domains: readonly string[] | undefined): Promise<number> {
  if (domains?.length) throw misuse("-b takes its domains from the file: -d cannot be given with it");
  return await withRestoredHouse(io, (house) => runBulk(house, io, file));
}

async function single(io: Io, given: ReturnType<typeof parse>): Promise<number> {
  const { d: names } = given;
  if (!names?.length) throw misuse("-i needs at least one -d DOMAIN");
  return await withRestoredHouse(io, (house) => issueSingle(house, io, names, given));
}

async function issueSingle(
  house: House,
  io: Io,
  names: readonly string[],
  given: ReturnType<typeof parse>,
): Promise<number> {
  const cells = {
    VIPPort: given.p,
    ACMEPort: given.h,
    FROMAddr: given.f,
    TOAddr: given.t,
    RELAYAddr: given.r,
    RELAYPort: given.x,
  };
  const result = await issueOne(house, io, {
    names,
    cells,
    source: "lb-letsencrypt -i",
    quiet: !io.err.isTTY,
  });
  const issued = result.exitCode === 0;
  print(io, issued ? success(result.name) : failure(result.name, result.detail));
  if (!(await someoneRenews(house))) note(io, NOBODY_RENEWS);
  return result.exitCode;
}
