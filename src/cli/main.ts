import { Command, CommanderError } from "commander";
import { version } from "../config/package.ts";
import { exitCodeOf, explain } from "../runtime/exit.ts";
import { type Io, note, outliveReader, processIo } from "./output.ts";

type AddCommand = (program: Command, io: Io, exit: (code: number) => void) => void;

/** In the order of `--help`. Each is loaded when it is asked for: all of them together take a second. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  import: async () => (await import("./commands/import.ts")).importCommand,
  issue: async () => (await import("./commands/issue.ts")).issueCommand,
  plan: async () => (await import("./commands/plan.ts")).planCommand,
  list: async () => (await import("./commands/list.ts")).listCommand,
  show: async () => (await import("./commands/show.ts")).showCommand,
  limits: async () => (await import("./commands/limits.ts")).limitsCommand,
  retry: async () => (await import("./commands/retry.ts")).retryCommand,
  pause: async () => (await import("./commands/pause.ts")).pauseCommand,
  resume: async () => (await import("./commands/pause.ts")).resumeCommand,
  renew: async () => (await import("./commands/renew.ts")).renewCommand,
  revoke: async () => (await import("./commands/revoke.ts")).revokeCommand,
  remove: async () => (await import("./commands/remove.ts")).removeCommand,
  account: async () => (await import("./commands/account.ts")).accountCommand,
  adopt: async () => (await import("./commands/adopt.ts")).adoptCommand,
  reconcile: async () => (await import("./commands/reconcile.ts")).reconcileCommand,
  doctor: async () => (await import("./commands/doctor.ts")).doctorCommand,
  config: async () => (await import("./commands/config.ts")).configCommand,
  up: async () => (await import("./commands/up.ts")).upCommand,
};

/** The one that is named first, or all, for a list of them or a hint at what may have been meant. */
function wanted([first = ""]: readonly string[]): (() => Promise<AddCommand>)[] {
  if (first === "--version" || first === "-V") return [];
  const command = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  return command === undefined ? Object.values(COMMANDS) : [command];
}

/** Runs one command line; what it returns is the exit code. */
export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  outliveReader(io);
  let code = 0;
  const exit = (value: number): void => {
    code = value;
  };
  try {
    const program = await buildProgram(argv, io, exit);
    await program.parseAsync([...argv], { from: "user" });
    // `up` lives and ends by itself, and leaves its code with the process.
    return code === 0 ? Number(process.exitCode ?? 0) : code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    note(io, explain(error));
    return exitCodeOf(error);
  }
}

async function buildProgram(argv: readonly string[], io: Io, exit: (code: number) => void): Promise<Command> {
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
  for (const add of await Promise.all(wanted(argv).map((load) => load()))) add(program, io, exit);
  // Subcommands are made before their parent's settings could reach them.
  for (const command of program.commands) inherit(command, program);
  return program;
}

function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
}
