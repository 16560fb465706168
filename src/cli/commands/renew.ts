import type { Command } from "commander";
import { type CertificateRecord, isRenewable } from "../../core/certificate.ts";
import { chunked } from "../../core/chunked.ts";
import { usageError } from "../../core/errors.ts";
import { importCertificates, importDocument } from "../../intake/documents.ts";
import { renewable } from "../../runtime/acting.ts";
import type { House } from "../../runtime/house.ts";
import { actor } from "../actor.ts";
import { NOBODY_RENEWS, someoneRenews, withRestoredHouse } from "../house.ts";
import { type Io, note, print, printPieces } from "../output.ts";
import { confirmRenewalOfAll } from "../renew-all.ts";
import { dueCertificates } from "../renew-due.ts";
import { printFailures, tally } from "../results.ts";
import { waitForImport } from "../wait.ts";
import { waitOptions } from "./import.ts";
import { findCertificate } from "./show.ts";

interface RenewOptions {
  due?: boolean;
  all?: boolean;
  force?: boolean;
  yes?: boolean;
  wait?: boolean;
  waitMax?: string;
  json?: boolean;
}

const CHUNK = 500;

export function renewCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("renew")
    .summary("renew one certificate now, or all that are due")
    .description(
      "Orders a certificate anew, within the CA's limits. `certherd up` renews what is due by itself; `renew --due` is for whoever would rather have it done by a timer, and asks the CA about every certificate first.",
    )
    .argument("[name]", "the certificate's first name")
    .option("--due", "ask the CA about all certificates, and renew those that are due")
    .option("--all", "renew every certificate, whether it is due or not; needs --force")
    .option("--force", "with --all: yes, also what is not due")
    .option("--yes", "with --all: do not ask whether the plan is all right")
    .option("--wait", "wait until each is renewed, or has failed; works without `up`")
    .option(
      "--wait-max <duration>",
      "stop waiting after that time (90s, 12m, 3h); what is queued stays queued",
    )
    .option("--json", "one JSON document on stdout, as of an import")
    .addHelpText(
      "after",
      `
Examples:
  certherd renew www.example.com --wait    this one, now
  certherd renew --due --wait              from a timer, where \`certherd up\` does not run
  certherd renew --all --force             everything, after a look at the plan`,
    )
    .action(async (name: string | undefined, options: RenewOptions) => {
      checkOptions(name, options);
      exit(await withRestoredHouse(io, (house) => renew(house, io, name, options)));
    });
}

function checkOptions(name: string | undefined, { due, all, force, yes }: RenewOptions): void {
  const ways = [name !== undefined, due === true, all === true].filter((given) => given).length;
  if (ways !== 1)
    throw usageError("bad_option", "Give one of: a certificate's first name, --due, --all --force.");
  if (all && !force)
    throw usageError(
      "bad_option",
      "--all renews what is not due, too, and needs --force; what is due is renewed by: certherd renew --due",
    );
  if (!all && (force || yes)) throw usageError("bad_option", "--force and --yes go with --all.");
}

async function renew(house: House, io: Io, name: string | undefined, options: RenewOptions): Promise<number> {
  const waiting = waitOptions(options);
  const chunks = await chosen(house, io, name, options);
  if (chunks === undefined) return 1;
  await house.audit.note({ by: actor(), action: "renew", ...auditedRenewal(name, options) });
  const { importId, count } = await house.orderAgain(
    chunks,
    `certherd renew ${name ?? (options.due ? "--due" : "--all")}`,
  );
  const finished = options.wait && count > 0 ? await waitForImport(house, io, importId, waiting) : true;
  const counts = options.wait ? await tally(house, importId) : undefined;
  const record = await house.imports.get(importId);
  if (options.json && record)
    await printPieces(
      io,
      importDocument({
        id: importId,
        counts: record.counts,
        warnings: [],
        rejected: nothing(),
        certificates: importCertificates(house.imports, house.certificates, importId),
      }),
    );
  else if (count === 0) print(io, "Nothing is due.");
  else if (counts) await printFailures(house, io, importId, counts);
  else print(io, `${count} queued.`);
  if (!finished) note(io, "Stopped waiting; what is queued stays queued (certherd list shows it).");
  if (!options.wait && count > 0 && !(await someoneRenews(house))) note(io, NOBODY_RENEWS);
  const { failed = 0, customers = 0, open = 0 } = counts ?? {};
  return !finished || failed + customers + open > 0 ? 1 : 0;
}

function auditedRenewal(name: string | undefined, { due }: RenewOptions) {
  return name === undefined ? { detail: due ? "all that are due" : "all" } : { certificate: name };
}

/** Undefined where a person has said no. */
async function chosen(
  house: House,
  io: Io,
  name: string | undefined,
  options: RenewOptions,
): Promise<AsyncIterable<readonly CertificateRecord[]> | undefined> {
  if (name !== undefined) return one(renewable(await findCertificate(house, name)));
  if (options.due) return dueCertificates(house, io, { quiet: options.json === true });
  if (!options.yes && !(await confirmRenewalOfAll(house, io))) return undefined;
  return everyRenewable(house);
}

async function* one(record: CertificateRecord): AsyncGenerator<readonly CertificateRecord[]> {
  yield [record];
}

async function* everyRenewable({ certificates }: House): AsyncGenerator<readonly CertificateRecord[]> {
  for await (const chunk of chunked(certificates.all(), CHUNK)) {
    const records = chunk.filter((record) => record.leaf !== undefined && isRenewable(record));
    if (records.length > 0) yield records;
  }
}

async function* nothing(): AsyncGenerator<never> {}
