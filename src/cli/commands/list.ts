import type { Command } from "commander";
import { type CertificateRecord, STATUSES, type Status } from "../../core/certificate.ts";
import { rfc3339 } from "../../core/clock.ts";
import { certificateDocument } from "../../core/documents.ts";
import { Forecast } from "../../runtime/forecast.ts";
import type { House } from "../../runtime/house.ts";
import { withHouseToRead } from "../house.ts";
import { type Io, oneOf, plain, printPieces } from "../output.ts";

/** So that a line fits into 80 columns where names are of a usual length. */
const NAME_WIDTH = 30;

export function listCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("list")
    .summary("list the certificates")
    .option("--status <status>", `only those in one status: ${STATUSES.join(", ")}`)
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  certherd list\n  certherd list --status attention\n  certherd list --json | jq '.certificates[].notAfter'",
    )
    .action(async (options: { status?: string; json?: boolean }) => {
      const status =
        options.status === undefined ? undefined : oneOf<Status>("--status", options.status, STATUSES);
      await withHouseToRead(io, (house) =>
        printPieces(io, options.json ? asJson(house, status) : asTable(house, status)),
      );
      exit(0);
    });
}

async function* asJson(house: House, status: Status | undefined): AsyncGenerator<string> {
  yield '{"certificates":[';
  let separator = "";
  for await (const { record, doneBy } of new Forecast(house).each(house.certificates.all(status))) {
    yield separator + JSON.stringify(certificateDocument(record, doneBy));
    separator = ",\n";
  }
  yield "]}\n";
}

/** Columns of fixed width, as the rows are not known before they come. */
async function* asTable(house: House, status: Status | undefined): AsyncGenerator<string> {
  let count = 0;
  for await (const { record, doneBy } of new Forecast(house).each(house.certificates.all(status))) {
    if (count++ === 0) yield line(["NAME", "STATUS", "EXPIRES", "SERIAL OR REASON"]);
    yield line(cells(record, doneBy));
  }
  yield count === 0 ? "No certificates.\n" : `${count} certificates.\n`;
}

function cells(record: CertificateRecord, doneBy: number | undefined): string[] {
  const { spec, status, leaf, detail, until } = record;
  const more = spec.names.length > 1 ? ` (+${spec.names.length - 1})` : "";
  const why = [until ? `until ${rfc3339(until)}` : "", detail ?? ""].filter((part) => part !== "").join(": ");
  const forecast = doneBy === undefined || until ? "" : `done by ${rfc3339(doneBy)}`;
  const expires = leaf ? rfc3339(leaf.notAfter).slice(0, 10) : "–";
  return [
    `${spec.names[0]}${more}`,
    status,
    expires,
    why || forecast || (leaf ? leaf.serial + onNodes(record) : ""),
  ];
}

/** ", on 2 of 3 nodes", where not all of them serve it as they should. */
function onNodes({ nodes, leaf }: CertificateRecord): string {
  const states = Object.values(nodes ?? {});
  const good = states.filter(({ ok, serial }) => ok && serial === leaf?.serial).length;
  return good === states.length ? "" : `, on ${good} of ${states.length} nodes`;
}

function line([name = "", status = "", expires = "", rest = ""]: readonly string[]): string {
  return `${plain(name).padEnd(NAME_WIDTH)}  ${status.padEnd(10)}  ${expires.padEnd(10)}  ${plain(rest)}\n`;
}
