/** The process behind socket-meter.ts. It ends with the one that started it. */
import { connect, createServer, type Socket } from "node:net";
import type { SocketTotals } from "./socket-meter.ts";

interface Start {
  kind: "start";
  /** HAProxy's own socket. */
  upstream: string;
  /** Where clients come. */
  path: string;
}

export type MeterCommand = Start | { kind: "totals" } | { kind: "after"; commands: number };

export type MeterReport = { kind: "answer"; totals: SocketTotals } | { kind: "reached" };

/** In interactive mode each answer ends in it. */
const PROMPT = "\n> ";
/** Commands about one certificate. */
const ABOUT = /^(?:show|new|set|commit|abort) ssl cert (\S+)|^add ssl crt-list \S+ (\S+)/;
/** The same with options, where the file is the payload's first word. */
const LISTED = /^add ssl crt-list \S+ <<\n(\S+)/;

/** Milliseconds by certificate; "" for what is about none. */
const spent = new Map<string, number>();
let [commands, commits, longest] = [0, 0, 0];
let awaited = Number.POSITIVE_INFINITY;

function begun(): void {
  if (++commands < awaited) return;
  awaited = Number.POSITIVE_INFINITY;
  report({ kind: "reached" });
}

function done(command: string, ms: number): void {
  const found = ABOUT.exec(command) ?? LISTED.exec(command);
  const file = found?.[1] ?? found?.[2] ?? "";
  spent.set(file, (spent.get(file) ?? 0) + ms);
  longest = Math.max(longest, ms);
  if (command.startsWith("commit ")) commits++;
}

/** Passes everything on, and takes the time from a command's first byte to its prompt. */
function meter(client: Socket, upstream: string): void {
  const behind = connect(upstream);
  let command = "";
  let since = 0;
  let tail = "";
  client.setEncoding("latin1").on("data", (text: string) => {
    if (command === "") {
      since = performance.now();
      begun();
    }
    command += text;
    behind.write(text, "latin1");
  });
  behind.setEncoding("latin1").on("data", (text: string) => {
    client.write(text, "latin1");
    tail = (tail + text).slice(-PROMPT.length);
    if (tail !== PROMPT || command === "") return;
    done(command, performance.now() - since);
    [command, tail] = ["", ""];
  });
  for (const [one, other] of [
    [client, behind],
    [behind, client],
  ] as const) {
    one.on("error", () => other.destroy());
    one.on("close", () => other.end());
  }
}

function totals(): SocketTotals {
  const about = [...spent].flatMap(([file, ms]) => (file === "" ? [] : [ms])).sort((a, b) => a - b);
  const all = [...spent.values()].reduce((sum, ms) => sum + ms, 0);
  return { commands, commits, all, longest, median: about[about.length >> 1] ?? 0 };
}

function report(what: MeterReport): void {
  process.send?.(what);
}

process.on("disconnect", () => process.exit());
process.on("message", (command: MeterCommand) => {
  if (command.kind === "after") awaited = commands + command.commands;
  if (command.kind === "totals") report({ kind: "answer", totals: totals() });
  if (command.kind === "start")
    createServer((client) => meter(client, command.upstream)).listen(command.path, () =>
      report({ kind: "answer", totals: totals() }),
    );
});
