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
        if (!options.json)
          print(io, `${finding.ok ? "ok   " : "WRONG"}  ${finding.what.padEnd(22)} ${plain(finding.detail)}`);
      }
      if (options.json) print(io, JSON.stringify({ ok: checks.every(({ ok }) => ok), checks }));
      const worst = Math.max(0, ...checks.map(({ ok, exitCode }) => (ok ? 0 : exitCode)));
      exit(worst);
    });
}
