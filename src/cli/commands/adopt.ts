import { resolve } from "node:path";
import type { Command } from "commander";
import { adopt } from "../../adopt/adopt.ts";
import { detectHome } from "../../adopt/detect.ts";
import type { AdoptDocument } from "../../adopt/document.ts";
import type { AdoptRequest } from "../../adopt/ports.ts";
import type { SpecTemplate } from "../../adopt/record.ts";
import { type Config, loadConfig } from "../../config/load.ts";
import { usageError } from "../../core/errors.ts";
import { checkRow } from "../../intake/row.ts";
import { adoptDeps, checkOwner, inTurn, withLook } from "../../runtime/adopt.ts";
import { rowContext } from "../../runtime/imports.ts";
import { actor } from "../actor.ts";
import { reportAdoption } from "../adopt-report.ts";
import { NOBODY_RENEWS, someoneRenews, withRestoredHouse } from "../house.ts";
import { type Io, note, print } from "../output.ts";
import { Progress } from "../progress.ts";

interface AdoptOptions {
  only?: string[];
  vipPort?: string;
  acmePort?: string;
  from?: string;
  to?: string;
  relay?: string;
  relayPort?: string;
  priority?: string;
  force?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

export function adoptCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("adopt")
    .summary("take over what acme.sh or certbot has: certificates, keys, accounts")
    .description(
      "Takes over the certificates, keys and CA accounts of an acme.sh home or of certbot's folder, without a request to the CA. Renewals go on here, with the same account. Nothing is changed in that folder.",
    )
    .argument("<dir>", "an acme.sh home (~/.acme.sh), or certbot's folder (/etc/letsencrypt)")
    .option("--dry-run", "say what would be done, and do nothing")
    .option("--only <name...>", "only these, by first name or by folder")
    .option("--force", "put a newer certificate from there into the place of an older one of Certherd's")
    .option("-p, --vip-port <port>", "port of the VIP (443)")
    .option("--acme-port <port>", "port that answers http-01 (8888)")
    .option("-f, --from <address>", "sender of mail")
    .option("-t, --to <address>", "recipient of mail")
    .option("-r, --relay <host>", "mail relay")
    .option("-x, --relay-port <port>", "port of the mail relay (25)")
    .option("--priority <level>", "of its renewals: urgent, high, normal, low, or 1 to 100")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  certherd adopt ~/.acme.sh --dry-run             what is there, and what would become of it?
  certherd adopt ~/.acme.sh                       take it over
  certherd adopt /etc/letsencrypt --only www.example.com --vip-port 8443
In the end it says what is to be taken out, so that the other client does not go on renewing (docs/adopt.md).`,
    )
    .action(async (dir: string, options: AdoptOptions) => {
      const document = await run(io, resolve(dir), options);
      if (options.json) print(io, JSON.stringify(document));
      else reportAdoption(io, document);
      const accountsRefused = document.accounts.some(({ action }) => action === "refused");
      exit(document.counts.refused > 0 || accountsRefused ? 1 : 0);
    });
}

async function run(io: Io, dir: string, options: AdoptOptions): Promise<AdoptDocument> {
  const home = await detectHome(dir);
  const config = loadConfig();
  const progress = options.json ? undefined : new StepProgress(io);
  const request: AdoptRequest = {
    template: templateOf(config, options),
    force: options.force === true,
    ...(options.only === undefined ? {} : { only: options.only }),
    onProgress: (step, done, total, failed) => progress?.update(step, done, total, failed),
  };
  try {
    if (options.dryRun) return await withLook(config, home, (deps) => adopt(deps, request));
    await checkOwner(config.home);
    return await withRestoredHouse(io, (house) =>
      inTurn(house, async () => {
        await house.audit.note({ by: actor(), action: "adopt", detail: dir });
        const document = await adopt(adoptDeps(house, home), request);
        if (!(await someoneRenews(house))) note(io, NOBODY_RENEWS);
        return document;
      }),
    );
  } finally {
    progress?.stop();
  }
}

/** Reading and writing go at paces of their own: a bar for each. */
class StepProgress {
  readonly #io: Io;
  #step: string | undefined;
  #bar: Progress | undefined;

  constructor(io: Io) {
    this.#io = io;
  }

  update(step: string, done: number, total: number, failed: number): void {
    if (step !== this.#step) {
      this.stop();
      this.#step = step;
      this.#bar = new Progress(this.#io, Date.now());
    }
    this.#bar?.update({ total, done: done - failed, failed, waiting: 0 }, Date.now());
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

/** Ports, mail and priority are checked as those of a CSV's row; the name stands for any. */
function templateOf(config: Config, options: AdoptOptions): SpecTemplate {
  const cells = {
    VIPPort: options.vipPort,
    ACMEPort: options.acmePort,
    FROMAddr: options.from,
    TOAddr: options.to,
    RELAYAddr: options.relay,
    RELAYPort: options.relayPort,
    Priority: options.priority,
  };
  const given = Object.entries(cells).filter((cell): cell is [string, string] => cell[1] !== undefined);
  const checked = checkRow(
    { DOMAIN: "www.example.com", ...Object.fromEntries(given) },
    { ...rowContext(config), line: 1 },
  );
  if ("spec" in checked) return checked.spec;
  throw usageError(
    "bad_request",
    checked.faults.map(({ column, reason }) => `${column}: ${reason}`).join("\n"),
  );
}
