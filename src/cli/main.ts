import { Command, CommanderError } from "commander";
import { exitCodeOf, explain } from "../runtime/exit.ts";
import { version } from "../runtime/version.ts";
import { accountCommand } from "./commands/account.ts";
import { adoptCommand } from "./commands/adopt.ts";
import { configCommand } from "./commands/config.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { importCommand } from "./commands/import.ts";
import { issueCommand } from "./commands/issue.ts";
import { limitsCommand } from "./commands/limits.ts";
import { listCommand } from "./commands/list.ts";
import { pauseCommand, resumeCommand } from "./commands/pause.ts";
import { planCommand } from "./commands/plan.ts";
import { reconcileCommand } from "./commands/reconcile.ts";
import { removeCommand } from "./commands/remove.ts";
import { renewCommand } from "./commands/renew.ts";
import { retryCommand } from "./commands/retry.ts";
import { revokeCommand } from "./commands/revoke.ts";
import { showCommand } from "./commands/show.ts";
import { upCommand } from "./commands/up.ts";
import { type Io, note, outliveReader, processIo } from "./output.ts";

/** Runs one command line; what it returns is the exit code. */
export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  outliveReader(io);
  let code = 0;
  const exit = (value: number): void => {
    code = value;
  };
  const program = buildProgram(io, exit);
  try {
    await program.parseAsync([...argv], { from: "user" });
    // `up` lives and ends by itself, and leaves its code with the process.
    return code === 0 ? Number(process.exitCode ?? 0) : code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    note(io, explain(error));
    return exitCodeOf(error);
  }
}

function buildProgram(io: Io, exit: (code: number) => void): Command {
  const program = new Command("certherd")
    .description(
      "Bulk TLS certificate onboarding: a CSV of domains becomes certificates, within the CA's limits.",
    )
    .version(version())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out.write(text),
      writeErr: (text) => io.err.write(text),
    })
    .showHelpAfterError("(--help shows what can be given)")
    .addHelpText(
      "after",
      `
Examples:
  certherd doctor                        is this host ready?
  certherd plan domains.csv              when will all of it be done?
  certherd import domains.csv --wait     from CSV to certificates, with a progress bar
  certherd up                            run everything, for ever
  certherd list --status attention       what needs me?
Exit codes: 0 all well, 1 some certificates or rows failed, 2 usage or configuration, 3 Redis, CA or disk out of reach.`,
    );
  for (const add of [
    importCommand,
    issueCommand,
    planCommand,
    listCommand,
    showCommand,
    limitsCommand,
    retryCommand,
    pauseCommand,
    resumeCommand,
    renewCommand,
    revokeCommand,
    removeCommand,
    accountCommand,
    adoptCommand,
    reconcileCommand,
    doctorCommand,
    configCommand,
  ])
    add(program, io, exit);
  upCommand(program);
  // Subcommands are made before their parent's settings could reach them.
  for (const command of program.commands) inherit(command, program);
  return program;
}

function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
}
