import type { Command } from "commander";
import type { CaConfig } from "../../config/load.ts";
import { usageError } from "../../core/errors.ts";
import type { CaReport } from "../../runtime/account-report.ts";
import type { House } from "../../runtime/house.ts";
import { actor } from "../actor.ts";
import { withHouse } from "../house.ts";
import { type Io, plain, print } from "../output.ts";

export function accountCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const group = program.command("account").summary("the accounts at the CAs, their profiles and terms");
  group
    .command("show")
    .summary("what is known of each CA and of the account there")
    .description(
      "Shows each configured CA with its account, as the CA says it now: status, contact, key, profiles, terms of service, and the CAA record that lets no other account issue. Registers nothing, and never shows a key.",
    )
    .argument("[ca]", "a CA of the configuration; all of them when left out")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  certherd account show\n  certherd account show letsencrypt --json | jq -r '.accounts[].caaRecord'",
    )
    .action(async (name: string | undefined, options: { json?: boolean }) => {
      const reports = await withHouse(io, async (house) => {
        const { accountsReport } = await import("../../runtime/account-report.ts");
        return await accountsReport(house, name === undefined ? house.config.cas : [caNamed(house, name)]);
      });
      if (options.json) print(io, JSON.stringify({ accounts: reports }));
      else print(io, reports.map((report) => lines(report).join("\n")).join("\n\n"));
      exit(Math.max(...reports.map(exitCodeFor)));
    });
  group
    .command("agree")
    .summary("agree to a CA's terms of service as they are now")
    .description(
      "Says that you have read the terms of service that are in force and agree to them: tells the CA, keeps their URL with the account, and lets orders go on that waited for it.",
    )
    .argument("[ca]", "a CA of the configuration; the default one when left out")
    .option("--terms <url>", "the terms that you have read; others are not agreed to")
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExamples:\n  certherd account agree\n  certherd account agree zerossl")
    .action(async (name: string | undefined, options: { terms?: string; json?: boolean }) => {
      await withHouse(io, async (house) => {
        const { agreeTo } = await import("../../runtime/agree.ts");
        const ca = name === undefined ? house.config.cas[0] : caNamed(house, name);
        const detail = [ca.name, options.terms].filter(Boolean).join(", ");
        await house.audit.note({ by: actor(), action: "agree to terms", detail });
        const { terms, lifted } = await agreeTo(house, ca, options.terms);
        if (options.json) print(io, JSON.stringify({ ca: ca.name, terms, lifted }));
        else {
          print(io, `Agreed to the terms of service of ${ca.name}: ${plain(terms)}`);
          if (lifted) print(io, "Orders go on. What has stopped meanwhile goes on with: certherd retry");
        }
      });
      exit(0);
    });
}

function caNamed({ config }: House, name: string): CaConfig {
  const found = config.cas.find((ca) => ca.name === name || ca.directory === name);
  if (found) return found;
  const names = config.cas.map((ca) => ca.name).join(", ");
  throw usageError("bad_option", `No CA "${plain(name)}" is configured; those configured: ${names}.`);
}

/** 3 where the CA could not be asked, 1 where a person has something to do. */
function exitCodeFor({ status, stopped }: CaReport): number {
  if (status === "unknown") return 3;
  return stopped || status === "deactivated" || status === "revoked" ? 1 : 0;
}

const NO_PROFILES = "the CA has none";

function lines(report: CaReport): string[] {
  const { ca, key, terms, profiles, stopped } = report;
  const told: [string, string | undefined][] = [
    ["CA", report.default ? `${ca} (default: rows that name no CA)` : ca],
    ["Directory", report.directory],
    ["Account", report.account ?? undefined],
    ["Status", [report.status, report.detail].filter(Boolean).join(": ")],
    ["Stopped", stopped?.detail],
    ["Act at", stopped?.url],
    ["Contact", report.contact.join(", ") || "none"],
    ["Registered", report.registeredAt ?? undefined],
    ["Key", key ? `${key.type}, thumbprint ${key.thumbprint}` : undefined],
    ["Key file", key?.file],
    ["EAB key id", report.eabKid ?? undefined],
    ["Profile", report.profile ?? "the CA's own choice"],
    ["Profiles", profiles?.length === 0 ? NO_PROFILES : undefined],
    ...(profiles ?? []).map(({ name, description, names }): [string, string] => [
      `  ${name}`,
      `${description}${names === undefined ? "" : ` (at most ${names} names)`}`,
    ]),
    ["Terms", termsWords(terms)],
    ["CAA identities", report.caaIdentities.join(", ") || "not known"],
    ["CAA record", report.caaRecord ?? undefined],
  ];
  return told.flatMap(([label, value]) =>
    value === undefined ? [] : [`${plain(`${label}:`).padEnd(18)}${plain(value)}`.trimEnd()],
  );
}

function termsWords({ url, agreed, agreedAt, current }: CaReport["terms"]): string {
  if (url === null) return agreed ?? "not known";
  if (current === true) return `${url} (agreed to on ${agreedAt})`;
  if (current === false) return `${url}, NOT AGREED TO yet (but to ${agreed}): certherd account agree`;
  return `${url} (it is not known what was agreed to)`;
}
