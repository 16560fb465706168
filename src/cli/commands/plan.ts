import type { Command } from "commander";
import { rfc3339 } from "../../core/clock.ts";
import { Forecast } from "../../runtime/forecast.ts";
import type { House } from "../../runtime/house.ts";
import { planDocument } from "../../runtime/plan-document.ts";
import { planOf } from "../../runtime/plan-specs.ts";
import { foreseeFile } from "../foresee.ts";
import { withHouseToRead } from "../house.ts";
import { type Io, print, printPieces } from "../output.ts";
import { planLines } from "../plan-report.ts";
import { priorityOf } from "./import.ts";

interface PlanOptions {
  json?: boolean;
  priority?: string;
}

export function planCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("plan")
    .summary("when will every name of a CSV be done?")
    .description(
      "Says when each name of a CSV would be ordered under the CA's limits, with what is queued already, and which limit holds what until when. Asks no CA, and changes nothing. `-` reads standard input.",
    )
    .argument("<file>", "CSV, as for import")
    .option("--priority <level>", "as it would be imported with: urgent, high, normal, low, or 1 to 100")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  certherd plan domains.csv
  certherd plan domains.csv --priority urgent
  certherd plan domains.csv --json | jq -r .finishesAt
Faults of rows are counted here, and listed by: certherd import domains.csv --dry-run`,
    )
    .action(async (file: string, options: PlanOptions) => {
      exit(await withHouseToRead(io, (house) => runPlan(house, io, file, options)));
    });
}

async function runPlan(house: House, io: Io, file: string, options: PlanOptions): Promise<number> {
  const priority = options.priority === undefined ? {} : { priority: priorityOf(options.priority) };
  const { specs, counts } = await foreseeFile(house, io, file, priority);
  const { plan, now, queued } = await planOf(house, specs);
  const { rows: read, accepted, unchanged, rejectedRows } = counts;
  const summary = { rows: read, accepted, unchanged, rejected: rejectedRows };
  if (options.json) await printPieces(io, planDocument(plan, { rows: summary }));
  else {
    for (const line of planLines(plan, { now, rows: summary })) print(io, line);
    const doneBy = plan.orders === 0 && queued > 0 ? await new Forecast(house).all() : undefined;
    if (doneBy !== undefined) print(io, `What is queued already is done by ${rfc3339(doneBy)}.`);
  }
  return counts.rejectedRows > 0 ? 1 : 0;
}
