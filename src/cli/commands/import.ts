import type { Command } from "commander";
import { PRIORITY, PRIORITY_LOWEST } from "../../core/certificate.ts";
import { parseDuration } from "../../core/duration.ts";
import { AppError, usageError } from "../../core/errors.ts";
import { openCsv, readRows } from "../../intake/csv.ts";
import { importCertificates, importDocument } from "../../intake/documents.ts";
import { type ImportResult, importRows } from "../../intake/import.ts";
import { RejectedFile, rejectedPath } from "../../intake/rejected.ts";
import type { House } from "../../runtime/house.ts";
import { importDeps } from "../../runtime/imports.ts";
import type { NotifyMode } from "../../store/imports.ts";
import { actor } from "../actor.ts";
import { NOBODY_RENEWS, someoneRenews, withRestoredHouse } from "../house.ts";
import { type Io, note, oneOf, plain, print, printPieces } from "../output.ts";
import { printFailures, tally } from "../results.ts";
import { runTriage } from "../triage.ts";
import { waitForImport } from "../wait.ts";

interface ImportOptions {
  wait?: boolean;
  waitMax?: string;
  dryRun?: boolean;
  triage?: boolean;
  json?: boolean;
  notify?: string;
  priority?: string;
}

const FAULTS_SHOWN = 20;

export function importCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("import")
    .summary("take in a CSV of domains")
    .description(
      "Checks every row of a CSV, and queues a certificate for each new one. `-` reads standard input.",
    )
    .argument("<file>", "CSV: DOMAIN,VIPPort,ACMEPort,FROMAddr,TOAddr,RELAYAddr,RELAYPort")
    .option(
      "--wait",
      "wait until every certificate is issued, has failed, or waits for somebody; works without `up`",
    )
    .option(
      "--wait-max <duration>",
      "stop waiting after that time (90s, 12m, 3h); what is queued stays queued",
    )
    .option("--dry-run", "check the file and say what would be done, and do nothing")
    .option(
      "--triage",
      "look whether the names lead here, write down which records customers have to set, and order nothing",
    )
    .option("--notify <mode>", "mail: one digest for the import, one for each certificate, or off")
    .option("--priority <level>", "urgent, high, normal, low, or 1 (first) to 100")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  certherd import domains.csv                    queue them; \`certherd up\` does the rest
  certherd import domains.csv --wait             the same, with a progress bar, to the end
  certherd import domains.csv --dry-run          which rows are wrong?
  certherd import domains.csv --triage           which names do not point here yet? → domains.csv.customers.csv
  certherd import urgent.csv --priority urgent   before everything that is queued
Bad rows are written to domains.csv.rejected.csv: mend them there, and import that file.`,
    )
    .action(async (file: string, options: ImportOptions) => {
      exit(await withRestoredHouse(io, (house) => runImport(house, io, file, options)));
    });
}

async function runImport(house: House, io: Io, file: string, options: ImportOptions): Promise<number> {
  if (options.triage) {
    if (options.wait || options.dryRun || options.notify || options.priority)
      throw usageError(
        "bad_option",
        "--triage orders nothing: leave out --wait, --dry-run, --notify and --priority.",
      );
    return await runTriage(house, io, file, options);
  }
  // What is wrong with the options is said before anything is taken in.
  const waiting = waitOptions(options);
  const result = await readIn(house, io, file, options);
  const waited = options.wait && !options.dryRun;
  const finished = waited ? await waitForImport(house, io, result.id, waiting) : true;
  const certificates = options.dryRun
    ? none()
    : importCertificates(house.imports, house.certificates, result.id);
  if (options.json) {
    await printPieces(
      io,
      importDocument({
        id: result.id,
        counts: result.counts,
        warnings: result.warnings,
        rejected: result.faults.read(),
        certificates,
      }),
    );
  } else await report(house, io, result, options);
  if (options.dryRun) await result.faults.remove();
  const counts = waited ? await tally(house, result.id) : undefined;
  if (counts && !options.json) await printFailures(house, io, result.id, counts);
  if (!finished) note(io, "Stopped waiting; what is queued stays queued (certherd list shows it).");
  if (!options.dryRun && !(await someoneRenews(house))) note(io, NOBODY_RENEWS);
  const { failed = 0, customers = 0, open = 0 } = counts ?? {};
  return result.counts.rejectedRows > 0 || !finished || failed + customers + open > 0 ? 1 : 0;
}

interface ReadIn extends ImportResult {
  warnings: readonly string[];
  rejectedFile: string | undefined;
}

async function readIn(house: House, io: Io, file: string, options: ImportOptions): Promise<ReadIn> {
  const { maxImportBytes } = house.config;
  const { source, what } = await openCsv(file, { maxBytes: maxImportBytes });
  const rows = readRows(source, { maxBytes: maxImportBytes, what });
  const rejected =
    options.dryRun || file === "-" ? undefined : new RejectedFile(rejectedPath(file), rows.info);
  let unwritable: string | undefined;
  if (!options.dryRun) await house.audit.note({ by: actor(), action: "import", detail: file });
  const result = await importRows(importDeps(house), {
    rows,
    info: rows.info,
    source: file === "-" ? "standard input" : file,
    notify: options.notify
      ? oneOf<NotifyMode>("--notify", options.notify, ["each", "digest", "off"])
      : house.config.mail.notify,
    dryRun: options.dryRun === true,
    ...(options.priority === undefined ? {} : { priority: priorityOf(options.priority) }),
    onRejected: async (row, faults) => {
      // The file's folder may not be ours to write to: the faults are reported all the same.
      if (unwritable === undefined)
        await rejected?.add(row, faults).catch((error: Error) => {
          unwritable = error.message;
        });
    },
  });
  const rejectedFile = await rejected?.close().catch((error: Error) => {
    unwritable ??= error.message;
    return undefined;
  });
  if (unwritable) note(io, unwritable);
  for (const warning of rows.info.warnings) note(io, plain(warning));
  return { ...result, warnings: rows.info.warnings, rejectedFile };
}

async function report(
  house: House,
  io: Io,
  { id, counts, faults, rejectedFile }: ReadIn,
  options: ImportOptions,
): Promise<void> {
  const parts = [
    `${counts.accepted} ${options.dryRun ? "would be ordered" : "accepted"}`,
    ...(counts.retried ? [`${counts.retried} of them tried again`] : []),
    ...(counts.unchanged
      ? [
          `${counts.unchanged} unchanged${counts.updated ? ` (${counts.updated} with new mail or ports)` : ""}`,
        ]
      : []),
    ...(counts.duplicates ? [`${counts.duplicates} twice in the file`] : []),
    ...(counts.rejectedRows ? [`${counts.rejectedRows} rejected`] : []),
  ];
  print(io, `${counts.rows} ${counts.rows === 1 ? "row" : "rows"}: ${parts.join(", ")}.`);
  if (counts.accepted === 0 && counts.unchanged > 0 && counts.rejectedRows === 0)
    print(io, "Nothing new: every certificate of this file is there, or on its way, already.");
  let shown = 0;
  for await (const fault of faults.read()) {
    if (shown++ >= FAULTS_SHOWN) break;
    print(
      io,
      `  line ${fault.line}, ${fault.column}: ${fault.reason}${fault.value ? ` (${plain(fault.value)})` : ""}`,
    );
  }
  if (shown > FAULTS_SHOWN) print(io, "  …");
  if (rejectedFile)
    print(io, `The rejected rows are in ${rejectedFile}: mend them there, and import that file.`);
  if (options.dryRun || options.wait || counts.accepted === 0) return;
  const roles = await house.alive.roles(Date.now());
  print(
    io,
    roles.has("issue")
      ? `Import ${id} is queued; certherd list shows how it goes.`
      : `Import ${id} is queued; it begins when \`certherd up\` runs.`,
  );
}

/** Throws for a time that is none. */
export function waitOptions({ waitMax, json }: Pick<ImportOptions, "waitMax" | "json">): {
  max?: number;
  quiet?: boolean;
} {
  if (waitMax === undefined) return { quiet: json === true };
  const max = parseDuration(waitMax);
  if (max === undefined)
    throw usageError("bad_option", `--wait-max is "${waitMax}"; write it as 90s, 12m or 3h.`);
  return { max, quiet: json === true };
}

export function priorityOf(text: string): number {
  const named = Object.entries(PRIORITY).find(([name]) => name === text.toLowerCase())?.[1];
  const number = named ?? Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= PRIORITY_LOWEST) return number;
  throw new AppError(`--priority is "${text}"; it must be urgent, high, normal, low, or 1 (first) to 100.`, {
    code: "bad_option",
    disposition: "usage",
  });
}

async function* none(): AsyncGenerator<never> {}
