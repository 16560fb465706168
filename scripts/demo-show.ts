/** What came of the demo, for people: certificates, what is really served, and mail. */
import { spawnSync } from "node:child_process";
import { served } from "../src/deploy/served.ts";
import type { SmtpServer } from "../test/support/smtp.ts";
import { waitUntil } from "../test/support/temp.ts";
import { say } from "./demo-process.ts";

export interface Listed {
  name: string;
  names: string[];
  status: string;
  notAfter?: string;
  serial?: string;
}

/** Names that are asked for by a handshake. */
const ASKED = 5;
/** Milliseconds for one of them. */
const PATIENCE = 5_000;

export function showTable(title: string, listed: readonly Listed[]): void {
  say(`\n${title.padEnd(40)}  EXPIRES     SERIAL`);
  for (const { name, names, notAfter, serial } of listed) {
    const more = names.length > 1 ? ` (+${names.length - 1})` : "";
    say(`${(name + more).padEnd(40)}  ${notAfter?.slice(0, 10)}  ${serial}`);
  }
}

/** A few from all over the list, each asked for on the wire. How many of them do not get what they should. */
export async function showHandshakes(port: number, listed: readonly Listed[]): Promise<number> {
  const step = Math.max(1, Math.floor(listed.length / ASKED));
  const some = listed.filter((_, index) => index % step === 0).slice(0, ASKED);
  say(`\n${`HANDSHAKE WITH 127.0.0.1:${port}`.padEnd(40)}  SERIAL THAT WAS SHOWN`);
  let wrong = 0;
  for (const { name, serial } of some) {
    const shown = await served({ address: "127.0.0.1", port }, name, { timeout: PATIENCE });
    const isRight = shown.serial === serial;
    if (!isRight) wrong++;
    say(`${name.padEnd(40)}  ${shown.serial || "none"}${isRight ? "" : `  (should be ${serial})`}`);
  }
  return wrong;
}

/** What an operator types to see for himself. */
export function handshakeLine(port: number, name: string): string {
  return `openssl s_client -connect 127.0.0.1:${port} -servername ${name} </dev/null 2>/dev/null | openssl x509 -noout -subject -serial -ext subjectAltName`;
}

/** Runs such a line as it stands. Whether a certificate came. */
export function tryLine(line: string): boolean {
  say(`\n$ ${line}`);
  const { stdout } = spawnSync("sh", ["-c", line], { encoding: "utf8" });
  say(stdout.trimEnd());
  return stdout.includes("serial=");
}

/** The digest comes when the import ends, the mail about what needs a person some seconds after. */
export async function showMail({ messages }: SmtpServer, wanted: number): Promise<number> {
  await waitUntil(() => messages.length >= wanted, { timeoutMs: 30_000, what: "the mail" }).catch(
    () => undefined,
  );
  for (const { to, subject, text } of messages) {
    const body = text.trim().split("\n");
    const shown = [...body.slice(0, 12), ...(body.length > 12 ? [`… (${body.length - 12} more lines)`] : [])];
    say(`\nMail to ${to.join(", ")}: ${subject}\n${shown.map((line) => `  | ${line}`).join("\n")}`);
  }
  return messages.length;
}
