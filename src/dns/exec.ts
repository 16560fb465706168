import { AppError } from "../core/errors.ts";
import { Gate } from "../core/flow.ts";
import type { DnsProvider, TxtRecord } from "./provider.ts";

export interface ExecSettings {
  /** An absolute path, and arguments before those that are added. */
  command: readonly string[];
  /** Milliseconds; then the program is killed, with all that it has started. */
  timeout: number;
}

/** Runs a program without a shell; `run` of deploy, say. */
export type RunProgram = (
  command: readonly string[],
  options: { timeout: number; env: Readonly<Record<string, string>> },
) => Promise<{ ok: boolean; how: string; output: string }>;

/** Programs that run at once. */
const AT_ONCE = 4;

/**
 * A program that sets the record: `present NAME. VALUE` and `cleanup NAME. VALUE` are added to its arguments, as lego's
 * exec provider does, and the same stands in its environment.
 */
export function createExec(settings: ExecSettings, run: RunProgram): DnsProvider {
  const gate = new Gate(AT_ONCE);
  const call = (action: "present" | "cleanup", record: TxtRecord): Promise<void> =>
    gate.run(() => runOnce(settings, run, action, record));
  return {
    present: (record) => call("present", record),
    cleanUp: (record) => call("cleanup", record),
  };
}

async function runOnce(
  { command, timeout }: ExecSettings,
  run: RunProgram,
  action: "present" | "cleanup",
  { name, value, zone }: TxtRecord,
): Promise<void> {
  const env = { CERTHERD_ACTION: action, CERTHERD_NAME: name, CERTHERD_VALUE: value, CERTHERD_ZONE: zone };
  const { ok, how, output } = await run([...command, action, `${name}.`, value], { timeout, env });
  if (ok) return;
  const words = output === "" ? "It said nothing" : `It said: ${output}`;
  throw new AppError(`${command[0]} ${action} for ${name} ${how}. ${words}`, {
    code: "dns_hook_failed",
    disposition: "retry",
  });
}
