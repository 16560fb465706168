/** The process behind tls-load.ts. It ends with the one that started it. */
import { connect, createSecureContext, type TLSSocket } from "node:tls";
import type { Allowed, LoadTotals, OWN } from "./tls-load.ts";

interface Place {
  address: string;
  port: number;
}

interface Start {
  kind: "start";
  places: readonly Place[];
  allowed: Allowed;
  perSecond: number;
  timeoutMs: number;
}

export type LoadCommand = Start | { kind: "allow"; allowed: Allowed } | { kind: "totals" } | { kind: "stop" };

export interface LoadReport {
  totals: LoadTotals;
}

// Its type alone is imported, as that module starts this one.
const own: typeof OWN = "own";
const TICK = 5;
const EXAMPLES = 20;

// No roots to read; a context of one's own resumes no session unless it is told to.
const secureContext = createSecureContext({ ca: [], minVersion: "TLSv1.2" });
const allowed = new Map<string, ReadonlySet<string>>();
let names: string[] = [];
let settings: Start;
let began = 0;
let timer: NodeJS.Timeout | undefined;
let whenNoneOpen: (() => void) | undefined;
const totals: LoadTotals = {
  opened: 0,
  ok: 0,
  failed: 0,
  wrong: 0,
  reasons: {},
  examples: [],
  open: 0,
  slowest: 0,
  lag: 0,
  cpu: 0,
};

/** Opens what is due by the clock, whatever has become of those before. */
function tick(): void {
  const passed = performance.now() - began;
  const due = Math.floor((passed * settings.perSecond) / 1_000);
  if (totals.opened < due)
    totals.lag = Math.max(
      totals.lag,
      Math.round(passed - ((totals.opened + 1) * 1_000) / settings.perSecond),
    );
  while (totals.opened < due) open();
}

function open(): void {
  const { places } = settings;
  const turn = totals.opened++;
  // One place after the other, and the next name once all of them have had this one.
  const place = places[turn % places.length];
  const name = names[Math.floor(turn / places.length) % names.length] ?? "";
  if (place) new Client(name, place).begin();
}

class Client {
  readonly #name: string;
  readonly #place: Place;
  /** A change of what is allowed may fall between handshake and here. */
  readonly #allowed: ReadonlySet<string> | undefined;
  readonly #began = performance.now();
  #patience: NodeJS.Timeout | undefined;
  #handshaken = false;
  #isOver = false;

  constructor(name: string, place: Place) {
    this.#name = name;
    this.#place = place;
    this.#allowed = allowed.get(name);
  }

  begin(): void {
    totals.open++;
    const { address: host, port } = this.#place;
    const servername = this.#name;
    const socket = connect({ host, port, servername, secureContext, rejectUnauthorized: false });
    this.#patience = setTimeout(() => this.#fail(socket, "no answer in time"), settings.timeoutMs);
    socket.once("secureConnect", () => this.#ask(socket));
    socket.on("error", (error) => this.#broken(socket, error));
    // Of an end before the answer there is no other sign.
    socket.once("close", () => this.#fail(socket, "closed before an answer"));
  }

  #ask(socket: TLSSocket): void {
    this.#handshaken = true;
    const { serialNumber, subjectaltname } = socket.getPeerCertificate();
    const serial = serialNumber?.toUpperCase() ?? "";
    const isOwn = subjectaltname === `DNS:${this.#name}`;
    if (!this.#may(serial) && !(isOwn && this.#may(own))) {
      this.#end(socket, "wrong", `serial ${serial}`);
      return;
    }
    socket.once("data", (answer: Buffer) => {
      const status = /^HTTP\/1\.[01] (\d{3}) /.exec(answer.toString("latin1"))?.[1];
      if (status === undefined) return this.#fail(socket, "no HTTP answer");
      if (Number(status) >= 500) return this.#fail(socket, `HTTP status ${status}`);
      totals.slowest = Math.max(totals.slowest, Math.round(performance.now() - this.#began));
      this.#end(socket, "ok");
    });
    socket.write(`GET / HTTP/1.0\r\nHost: ${this.#name}\r\n\r\n`);
  }

  #may(serial: string): boolean {
    return [this.#allowed, allowed.get(this.#name)].some((set) => set?.has(serial));
  }

  #broken(socket: TLSSocket, { code, message, ...rest }: NodeJS.ErrnoException & { reason?: string }): void {
    const isAlert = /SSL alert number/.test(message);
    if (isAlert && !this.#handshaken && this.#may("")) this.#end(socket, "ok");
    else {
      const when = this.#handshaken ? "after" : "in";
      this.#fail(socket, `${rest.reason ?? code ?? message} ${when} the handshake`);
    }
  }

  #fail(socket: TLSSocket, reason: string): void {
    this.#end(socket, "failed", reason);
  }

  #end(socket: TLSSocket, how: "ok" | "failed" | "wrong", what?: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    totals[how]++;
    if (what !== undefined) {
      totals.reasons[what] = (totals.reasons[what] ?? 0) + 1;
      const example = { at: Date.now(), name: this.#name, port: this.#place.port, what };
      if (totals.examples.length < EXAMPLES) totals.examples.push(example);
    }
    clearTimeout(this.#patience);
    if (how === "ok") socket.end();
    // A server that keeps its side open is not waited for.
    const linger = setTimeout(() => socket.destroy(), how === "ok" ? 500 : 0);
    socket.once("close", () => clearTimeout(linger));
    totals.open--;
    if (totals.open === 0) whenNoneOpen?.();
  }
}

function allow(more: Allowed): void {
  for (const [name, serials] of Object.entries(more)) allowed.set(name, new Set(serials));
  names = [...allowed.keys()];
}

async function obey(command: LoadCommand): Promise<void> {
  if (command.kind === "allow") allow(command.allowed);
  if (command.kind === "start") {
    settings = command;
    allow(command.allowed);
    began = performance.now();
    timer = setInterval(tick, TICK);
  }
  if (command.kind === "stop") {
    clearInterval(timer);
    if (totals.open > 0)
      await new Promise<void>((resolve) => {
        whenNoneOpen = resolve;
      });
  }
  const { user, system } = process.cpuUsage();
  totals.cpu = Math.round((user + system) / 1_000);
  const report: LoadReport = { totals };
  process.send?.(report);
}

process.on("disconnect", () => process.exit());
process.on("message", (command: LoadCommand) => {
  obey(command).catch((error) => {
    process.stderr.write(`${error}\n`);
    process.exit(1);
  });
});
