import type { Command } from "commander";
import { rfc3339 } from "../../core/clock.ts";
import { type AccountReport, type BucketReport, limitsDocument, limitsReport } from "../../runtime/limits.ts";
import { withHouseToRead } from "../house.ts";
import { LIMIT_WORDS } from "../limit-words.ts";
import { type Io, plain, print, table } from "../output.ts";

const SHOWN = 20;

export function limitsCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("limits")
    .summary("what is used of the CAs' limits, and who waits")
    .description(
      "Shows every limit of every CA account that is not wholly free: how much is used, how much is left, when the next token comes, and who waits for it.",
    )
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  certherd limits\n  certherd limits --json | jq '.accounts[].buckets[] | select(.remaining == 0)'",
    )
    .action(async (options: { json?: boolean }) => {
      await withHouseToRead(io, async (house) => {
        const accounts = await limitsReport(house);
        if (options.json) print(io, JSON.stringify(limitsDocument(accounts)));
        else for (const line of lines(accounts)) print(io, line);
      });
      exit(0);
    });
}

function lines(accounts: readonly AccountReport[]): string[] {
  return accounts.flatMap((report, index) => [...(index > 0 ? [""] : []), ...accountLines(report)]);
}

function accountLines({ ca, account, stopped, broken, buckets }: AccountReport): string[] {
  const head = [`${ca}${account === undefined ? " (no account yet)" : `  ${plain(account)}`}`];
  if (stopped !== undefined) head.push(`Stopped: ${plain(stopped)}`);
  if (broken !== undefined)
    head.push(
      `Paused since ${rfc3339(broken.since)}, after ${broken.count} failures in a row; one certificate tries again at ${rfc3339(broken.until)}. ${plain(broken.detail)}`,
    );
  if (buckets.length === 0) return [...head, "All limits are free."];
  const rows = [...buckets].sort(byScarcity).slice(0, SHOWN).map(row);
  const more = buckets.length - rows.length;
  return [
    ...head,
    table(["LIMIT", "FOR", "USED", "LEFT", "NEXT ONE AT", "WAITING"], rows),
    ...(more > 0 ? [`… and ${more} more that have as much left or more: certherd limits --json`] : []),
  ];
}

/** What somebody waits for first, then what is used up the most. */
function byScarcity(a: BucketReport, b: BucketReport): number {
  return (
    b.waits - a.waits ||
    Number(isSet(a)) - Number(isSet(b)) ||
    a.remaining / a.burst - b.remaining / b.burst ||
    a.key.localeCompare(b.key)
  );
}

/** Each certificate has one, of which nobody knows the names here. */
function isSet({ limit, remaining }: BucketReport): boolean {
  return limit === "certificatesPerNameSet" && remaining > 1;
}

function row({ limit, key, burst, used, remaining, nextAt, waits, waiting }: BucketReport): string[] {
  const names = waiting.length > 0 ? ` (${waiting.join(", ")}${waits > waiting.length ? ", …" : ""})` : "";
  return [
    LIMIT_WORDS[limit],
    key,
    `${used} of ${burst}`,
    String(remaining),
    rfc3339(nextAt),
    waits > 0 ? `${waits}${names}` : "",
  ];
}
