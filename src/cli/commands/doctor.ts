import type { Command } from "commander";
import { loadConfig } from "../../config/load.ts";
import type { Finding } from "../../runtime/doctor.ts";
import { type Io, plain, print } from "../output.ts";

export function doctorCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("doctor")
    .summary("look at everything this host needs, and say how to mend it")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  certherd doctor\n  certherd doctor --json | jq '.checks[] | select(.ok | not)'",
    )
    .action(async (options: { json?: boolean }) => {
      const { examine } = await import("../../runtime/doctor.ts");
      const checks: Finding[] = [];
      for await (const finding of examine(loadConfig())) {
        checks.push(finding);
        if (!options.json) say(io, finding);
      }
      if (options.json) print(io, JSON.stringify({ ok: checks.every(({ ok }) => ok), checks }));
      const worst = Math.max(0, ...checks.map(({ ok, exitCode }) => (ok ? 0 : exitCode)));
      exit(worst);
    });
}

/** What is to be copied into a file stands on lines of its own. */
function say(io: Io, { ok, what, detail }: Finding): void {
  const [first = "", ...rest] = detail.split("\n");
  print(io, `${ok ? "ok   " : "WRONG"}  ${what.padEnd(22)} ${plain(first)}`);
  for (const line of rest) print(io, `       ${plain(line)}`);
}
