import type { Command } from "commander";
import type { Found, Outcome, Report } from "../../reconcile/report.ts";
import type { House } from "../../runtime/house.ts";
import { actor } from "../actor.ts";
import { withHouse } from "../house.ts";
import { type Io, note, plain, print, table } from "../output.ts";
import { Progress } from "../progress.ts";

/** Examples shown of each kind; `--json` has up to 1,000. */
const SHOWN = 10;

export function reconcileCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("reconcile")
    .summary("compare files, index, queues and nodes, and mend what does not agree")
    .description(
      "Compares each of certificates' files, index, queues, nodes and imports with the others: what is missing is rebuilt, what is foreign is told and left alone. The short form of this runs at every start; this is the thorough one. It may run beside everything else.",
    )
    .option("--dry-run", "tell the same, and change nothing")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  certherd reconcile --dry-run\n  certherd reconcile --json | jq '.found[] | select(.outcome == \"person\")'\nExit codes: 0 nothing is left for a person, 1 something is.",
    )
    .action(async (options: { dryRun?: boolean; json?: boolean }) => {
      await withHouse(io, async (house) => {
        const startedAt = house.clock.now();
        if (!options.dryRun) await house.audit.note({ by: actor(), action: "reconcile" });
        const report = await run(house, io, options.dryRun === true);
        const seconds = Math.round((house.clock.now() - startedAt) / 100) / 10;
        if (options.json) print(io, JSON.stringify(documentOf(report, seconds)));
        else say(io, report, seconds);
        exit(report.count("person") === 0 ? 0 : 1);
      });
    });
}

async function run(house: House, io: Io, dryRun: boolean): Promise<Report> {
  const [{ Report }, { reconcileHouse }] = await Promise.all([
    import("../../reconcile/report.ts"),
    import("../../runtime/reconcile.ts"),
  ]);
  const progress = new Progress(io, house.clock.now());
  // Each certificate is come by twice: in its folder, and in the index.
  const total = 2 * (await house.certificates.count());
  const report = new Report(dryRun, (state) => {
    const { folders = 0, certificates = 0 } = state.lookedAt;
    const done = folders + certificates;
    const failed = state.count("person");
    progress.update(
      { total: Math.max(total, done), done: Math.max(0, done - failed), failed, waiting: 0 },
      house.clock.now(),
    );
  });
  try {
    await reconcileHouse(house, report, () => note(io, "Another process puts things back; waiting for it."));
  } finally {
    progress.stop();
  }
  return report;
}

function documentOf(report: Report, seconds: number): object {
  const { dryRun, lookedAt, found } = report;
  return {
    dryRun,
    seconds,
    looked: lookedAt,
    mended: report.count("mended"),
    person: report.count("person"),
    noted: report.count("note"),
    found,
  };
}

function say(io: Io, report: Report, seconds: number): void {
  const { found, dryRun } = report;
  const looked = Object.entries(report.lookedAt).map(([what, count]) => `${count} ${what}`);
  print(
    io,
    `Looked at ${looked.length > 0 ? looked.join(", ") : "nothing: there is nothing yet"}, in ${seconds} s.`,
  );
  if (found.length === 0) {
    print(io, "All of it agrees.");
    return;
  }
  print(io);
  print(
    io,
    table(
      ["PART", "COUNT", "OUTCOME", "FOUND"],
      found.map(({ part, count, outcome, what, says }) => [
        part,
        String(count),
        wordOf(outcome, dryRun),
        `${what}: ${says}`,
      ]),
    ),
  );
  for (const one of found) sayExamples(io, one);
  print(io);
  print(io, summary(report));
}

function wordOf(outcome: Outcome, dryRun: boolean): string {
  if (outcome === "mended") return dryRun ? "would be mended" : "mended";
  return outcome === "person" ? "FOR YOU" : "for your information";
}

function sayExamples(io: Io, { what, count, examples }: Found): void {
  print(io);
  print(io, `${what}:`);
  for (const { name, detail } of examples.slice(0, SHOWN))
    print(io, `  ${plain(name)}${detail === undefined ? "" : `  (${plain(detail)})`}`);
  if (count > SHOWN) print(io, `  and ${count - Math.min(SHOWN, examples.length)} more (--json)`);
}

function summary(report: Report): string {
  const [mended, person] = [report.count("mended"), report.count("person")];
  const first = report.dryRun ? `${mended} would be mended; nothing was changed.` : `${mended} mended.`;
  return person === 0
    ? `${first} Nothing is left for a person.`
    : `${first} ${person} are left for a person.`;
}
