/** Mails to real relays, out of boxes in a real Redis. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CertificateRecord, MailRoute, Status } from "../../src/core/certificate.ts";
import { systemClock } from "../../src/core/clock.ts";
import { mailGroup } from "../../src/notify/groups.ts";
import { Mailer } from "../../src/notify/mailer.ts";
import { Notifier } from "../../src/notify/notifier.ts";
import { type MailSchedule, startNotify } from "../../src/notify/service.ts";
import { Producer } from "../../src/queue/producer.ts";
import { CertificateStore, type Transition } from "../../src/store/certificates.ts";
import { ImportStore, NO_COUNTS, type NotifyMode } from "../../src/store/imports.ts";
import { keys } from "../../src/store/keys.ts";
import { MailBoxes } from "../../src/store/mailboxes.ts";
import type { Redis } from "../../src/store/redis.ts";
import { makeServerCert } from "../support/certs.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { startSmtp } from "../support/smtp.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";

const FROM = "certs@example.com";
/** As in production, a few hundred times as fast. */
const FAST: Partial<MailSchedule> = {
  retry: [150, 300],
  rest: 100,
  busy: 50,
  now: 250,
  later: 400,
  look: 50,
};

let server: RedisServer;
let redis: Redis;
let stops: (() => Promise<void> | void)[];
let producer: Producer;
let certificates: CertificateStore;
let imports: ImportStore;
let boxes: MailBoxes;
let notifier: Notifier;
let lines: string[];

beforeAll(async () => {
  server = await startRedis();
  redis = server.client();
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  await redis.flushall();
  stops = [];
  lines = [];
  producer = new Producer(redis);
  certificates = new CertificateStore(redis);
  imports = new ImportStore(redis);
  boxes = new MailBoxes(redis);
  notifier = makeNotifier();
  stops.push(() => producer.close());
});

afterEach(async () => {
  for (const stop of stops.reverse()) await stop();
});

function keep<T extends { stop(): Promise<void> }>(started: T): T {
  stops.push(() => started.stop());
  return started;
}

function makeNotifier(): Notifier {
  const delays = { nowDelay: FAST.now ?? 0, laterDelay: FAST.later ?? 0 };
  return new Notifier({ boxes, producer, imports, defaultFrom: FROM, defaultMode: "digest", ...delays });
}

function start(schedule: Partial<MailSchedule> = {}): { close(): Promise<void> } {
  const mailer = new Mailer({ timeout: 400 });
  const service = startNotify({
    redis,
    producer,
    certificates,
    imports,
    boxes,
    config: { mail: { from: FROM, notify: "digest" }, node: "lb1" },
    clock: systemClock,
    log: (line) => lines.push(line),
    mailer,
    schedule: { ...FAST, ...schedule },
  });
  stops.push(async () => {
    await service.close();
    mailer.close();
  });
  return service;
}

function route(port: number, to = "ops@example.com"): MailRoute {
  return { to, relay: "127.0.0.1", port };
}

/** Accepts certificates as an import does, or one by one. */
async function accept(names: readonly string[], mail: MailRoute, importId?: string): Promise<void> {
  const specs = names.map((name) => ({
    names: [name],
    vipPort: 443,
    acmePort: 8888,
    mail,
    keyType: "ec256" as const,
    challenge: "http-01" as const,
    priority: 50,
  }));
  if (importId !== undefined) await notifier.address(importId, specs);
  await certificates.accept(specs, { now: Date.now(), ...(importId === undefined ? {} : { importId }) });
}

const LEAF = {
  notBefore: 0,
  notAfter: Date.UTC(2026, 8, 30),
  issuer: "Test CA",
  serial: "0AFE",
  renewAt: Date.UTC(2026, 7, 30),
};

/** Brings a certificate to rest, and tells the notifier, as the issuance does. */
async function settle(id: string, status: Status, change: Partial<Transition> = {}): Promise<void> {
  const record = (await certificates.get(id)) as CertificateRecord;
  const full: Transition = { status, ...(status === "issued" ? { leaf: LEAF } : {}), ...change };
  const result = await certificates.transition(id, record.generation, full, Date.now());
  const settled = (await certificates.get(id)) as CertificateRecord;
  await notifier.settled(settled, { awaited: result.awaited });
  for (const ended of result.ended) await notifier.importEnded(ended);
}

async function beginImport(id: string, mode: NotifyMode = "digest"): Promise<void> {
  await imports.create(id, "/srv/demo.csv", mode, Date.now());
}

async function endReading(id: string, rows: number): Promise<void> {
  await imports.finishReading(id, { ...NO_COUNTS, rows, accepted: rows });
}

const attention = { reason: "person", detail: "The CAA record forbids it." } as const;
const retrying = {
  reason: "retry",
  detail: "Port 80 does not answer.",
  until: Date.UTC(2026, 6, 1),
} as const;

/** A relay whose behaviour is the test's own. */
async function relay(options: SMTPServerOptions): Promise<number> {
  const port = await freePort();
  const smtp = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    closeTimeout: 100,
    ...options,
  });
  smtp.on("error", () => undefined);
  await once(smtp.listen(port, "127.0.0.1"), "listening");
  stops.push(() => new Promise<void>((resolve) => smtp.close(resolve)));
  return port;
}

/** Takes connections, and never says a word. */
async function silentRelay(): Promise<{ port: number; connections: () => number }> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let connections = 0;
  const silent = createServer((socket) => {
    connections++;
    sockets.add(socket.on("error", () => undefined));
  });
  await once(silent.listen(port, "127.0.0.1"), "listening");
  stops.push(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  return { port, connections: () => connections };
}

async function nothingLeft(): Promise<void> {
  await waitUntil(async () => (await redis.keys("{certherd}:mail:*")).length === 0, { what: "empty boxes" });
  await waitUntil(async () => (await producer.queue("notify").count()) === 0, { what: "an empty queue" });
}

describe("an import's digest", () => {
  it("goes to each recipient once, with that recipient's certificates", async () => {
    const smtp = keep(await startSmtp());
    start();
    await beginImport("i1");
    await accept(["a.example", "b.example"], route(smtp.port), "i1");
    await accept(["c.example"], route(smtp.port, "customer@example.net"), "i1");
    await endReading("i1", 3);
    await settle("a.example", "issued");
    await settle("c.example", "issued");
    expect(smtp.messages).toHaveLength(0);
    await settle("b.example", "waiting", retrying);
    const mails = [...(await smtp.waitFor(2))].sort((a, b) => (a.to[0] ?? "").localeCompare(b.to[0] ?? ""));
    expect(mails.map(({ from, to, subject }) => ({ from, to, subject }))).toEqual([
      { from: FROM, to: ["customer@example.net"], subject: "Certherd: 1 issued (demo.csv)" },
      { from: FROM, to: ["ops@example.com"], subject: "Certherd: 1 issued, 1 failed (demo.csv)" },
    ]);
    expect(mails[1]?.text).toContain("Port 80 does not answer.");
    expect(mails[1]?.text).toContain("has 3 rows: 3 ordered");
    expect(mails[0]?.text).not.toContain("a.example");
    await nothingLeft();
    expect(await boxes.isTold("i1")).toBe(true);
  });

  it("counts thousands exactly, and lists the first of them", async () => {
    const smtp = keep(await startSmtp());
    const names = Array.from({ length: 2_345 }, (_, index) => `n${index}.example`);
    await beginImport("i1");
    await accept(names, route(smtp.port), "i1");
    await endReading("i1", names.length);
    const change = { status: "issued", leaf: LEAF } as const;
    const results = await Promise.all(names.map((id) => certificates.transition(id, 1, change, Date.now())));
    for (const id of results.flatMap(({ ended }) => ended)) await notifier.importEnded(id);
    start();
    const [mail] = await smtp.waitFor(1);
    expect(mail?.subject).toBe("Certherd: 2345 issued (demo.csv)");
    expect(mail?.text.match(/serial 0AFE/g)).toHaveLength(500);
    expect(mail?.text).toContain("and 1845 more");
    await nothingLeft();
  });

  it("that a crash kept from being queued is queued by the next start", async () => {
    const smtp = keep(await startSmtp());
    await beginImport("i1");
    await accept(["a.example"], route(smtp.port), "i1");
    await endReading("i1", 1);
    const ended = await certificates.transition("a.example", 1, { status: "issued", leaf: LEAF }, Date.now());
    expect(ended.ended).toEqual(["i1"]);
    start();
    await smtp.waitFor(1);
    await nothingLeft();
    expect(await boxes.isTold("i1")).toBe(true);
  });
});

describe("nothing is sent twice", () => {
  it("when the end of an import is reported again, and the service starts again", async () => {
    const smtp = keep(await startSmtp());
    const first = start();
    await beginImport("i1");
    await accept(["a.example"], route(smtp.port), "i1");
    await endReading("i1", 1);
    await settle("a.example", "issued");
    await notifier.importEnded("i1");
    await smtp.waitFor(1);
    await nothingLeft();
    await first.close();
    start();
    start();
    await notifier.importEnded("i1");
    await sleep(300);
    expect(smtp.messages).toHaveLength(1);
  });

  it("and a mail that a crash repeats bears the same Message-ID, another mail another one", async () => {
    const ids: string[] = [];
    const port = await relay({
      disabledCommands: ["STARTTLS"],
      onData: (stream, _session, done) => {
        let mail = "";
        stream.on("data", (chunk: Buffer) => {
          mail += chunk.toString();
        });
        stream.on("end", () => {
          ids.push(/^Message-ID: (<.*>)/im.exec(mail)?.[1] ?? "");
          // The first answer is lost, as if the process had died before it came.
          if (ids.length > 1) done();
        });
      },
    });
    const mail = route(port);
    await accept(["a.example"], mail);
    await certificates.transition("a.example", 1, { status: "attention", ...attention }, Date.now());
    await boxes.drop("now", mailGroup(mail, FROM), ["a.example"], mail);
    start();
    await waitUntil(() => ids.length === 2);
    await nothingLeft();
    await settle("a.example", "attention", attention);
    await waitUntil(() => ids.length === 3);
    expect(ids[0]).toMatch(/^<[0-9a-f]{32}@example\.com>$/);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });
});

describe("a box", () => {
  const mail = route(25);

  it("gives what one mail tells, again after a crash, and nothing that came in since", async () => {
    const names = Array.from({ length: 2_500 }, (_, index) => `n${String(index).padStart(4, "0")}.example`);
    await boxes.drop("now", "g", names, mail);
    expect(await boxes.take("now", "g", 1_000)).toBe(1_000);
    await boxes.drop("now", "g", ["late.example"], mail);
    expect(await boxes.take("now", "g", 2_000)).toBe(1_000);
    expect(await inHand()).toEqual(names);
    expect(await boxes.size("now", "g")).toBe(2_501);
    await boxes.putBack("now", "g");
    expect(await boxes.take("now", "g", 3_000)).toBe(3_000);
    expect(await inHand()).toEqual(["late.example", ...names]);
    await boxes.told("now", "g");
    expect(await boxes.take("now", "g", 4_000)).toBeUndefined();
  });

  it("of an import that wants no digest is thrown away with it", async () => {
    await imports.create("i1", "demo.csv", "off", Date.now());
    await boxes.address("i1", [{ id: "a.example", group: mailGroup(mail), route: mail }]);
    await notifier.importEnded("i1");
    expect(await redis.keys("{certherd}:mail:*")).toEqual([]);
    expect(await boxes.groups("i1")).toEqual([]);
  });

  async function inHand(): Promise<string[]> {
    const all: string[] = [];
    for await (const slice of boxes.ids("now", "g")) all.push(...slice);
    return all;
  }
});

describe("a relay", () => {
  it("that is down gets its mail late, with what has come in since, and holds nobody up", async () => {
    const down = keep(await startSmtp({ down: true }));
    const up = keep(await startSmtp());
    start();
    await accept(["a.example", "b.example"], route(down.port));
    await accept(["c.example"], route(up.port));
    await settle("a.example", "attention", attention);
    await waitUntil(() => lines.some((line) => line.includes("is tried again")));
    await settle("b.example", "attention", attention);
    await settle("c.example", "issued");
    await up.waitFor(1, 3_000);
    expect(down.messages).toHaveLength(0);
    await down.setDown(false);
    const [mail] = await down.waitFor(1);
    expect(mail?.subject).toBe("Certherd: 2 certificates need you");
    await nothingLeft();
    expect(down.messages).toHaveLength(1);
    expect((await certificates.get("a.example"))?.detail).toBe(attention.detail);
  });

  it("that never answers holds others up for one time limit, however many mails it has", async () => {
    const silent = await silentRelay();
    const up = keep(await startSmtp());
    const names = Array.from({ length: 200 }, (_, index) => `n${index}.example`);
    await accept(names, route(silent.port));
    await accept(["a.example"], route(up.port));
    for (const name of names) await settle(name, "issued");
    await settle("a.example", "issued");
    start({ retry: [60_000], rest: 5_000 });
    const begun = Date.now();
    await up.waitFor(1, 3_000);
    expect(Date.now() - begun).toBeLessThan(2_000);
    await waitUntil(async () => (await producer.queue("notify").getDelayedCount()) === 200);
    expect(silent.connections()).toBeLessThan(12);
  });

  it("is given up after the last try, which is counted and logged", async () => {
    const down = keep(await startSmtp({ down: true }));
    start({ retry: [50], giveUpAfter: 100, rest: 10 });
    await accept(["a.example"], route(down.port));
    await settle("a.example", "issued");
    await nothingLeft();
    expect(await redis.hget(keys.counters, "mail_failed")).toBe("1");
    expect(lines.at(-1)).toMatch(
      /^The mail to ops@example\.com through 127\.0\.0\.1:\d+ is given up after 3 tries: /,
    );
  });

  it("that refuses a recipient is not asked again, and goes on with the others", async () => {
    const taken: string[] = [];
    const port = await relay({
      disabledCommands: ["STARTTLS"],
      onRcptTo: ({ address }, _session, done) => {
        if (address === "nobody@example.com")
          done(Object.assign(new Error("No such user"), { responseCode: 550 }));
        else done();
      },
      onData: (stream, session, done) => {
        stream.resume().on("end", () => {
          taken.push(...session.envelope.rcptTo.map(({ address }) => address));
          done();
        });
      },
    });
    start();
    await accept(["a.example"], route(port, "nobody@example.com"));
    await accept(["b.example"], route(port));
    await settle("a.example", "issued");
    await waitUntil(() => lines.length > 0);
    await settle("b.example", "issued");
    await waitUntil(() => taken.length > 0, { timeoutMs: 1_000 });
    await nothingLeft();
    expect(taken).toEqual(["ops@example.com"]);
    expect(lines).toEqual([expect.stringContaining("is given up: ")]);
    expect(lines[0]).toContain("550 No such user");
    expect(await redis.hget(keys.counters, "mail_failed")).toBe("1");
  });

  it("that asks to come again later does, and is no relay that is down", async () => {
    let asked = 0;
    const port = await relay({
      disabledCommands: ["STARTTLS"],
      onRcptTo: (_address, _session, done) => {
        if (++asked === 1) done(Object.assign(new Error("Greylisted"), { responseCode: 451 }));
        else done();
      },
      onData: (stream, _session, done) => {
        stream.resume().on("end", () => done());
      },
    });
    start();
    await accept(["a.example"], route(port));
    await settle("a.example", "issued");
    await nothingLeft();
    expect(asked).toBe(2);
    expect(await redis.hget(keys.counters, "mail_failed")).toBeNull();
  });
});

describe("encryption", () => {
  it("is used with whatever certificate the relay has", async () => {
    const smtp = keep(await startSmtp({ startTls: true }));
    start();
    await accept(["a.example"], route(smtp.port));
    await settle("a.example", "issued");
    expect((await smtp.waitFor(1))[0]).toMatchObject({ secure: true, subject: "Certherd: a.example issued" });
  });

  it("is left out with a relay that offers it and cannot do it", async () => {
    const { certPath, keyPath } = await makeServerCert(tempDir("certherd-tls"));
    const secure: boolean[] = [];
    const port = await relay({
      cert: readFileSync(certPath),
      key: readFileSync(keyPath),
      minVersion: "TLSv1",
      maxVersion: "TLSv1",
      onData: (stream, session, done) => {
        stream.resume().on("end", () => {
          secure.push(session.secure);
          done();
        });
      },
    });
    start();
    await accept(["a.example"], route(port));
    await settle("a.example", "issued");
    await waitUntil(() => secure.length > 0);
    expect(secure).toEqual([false]);
  });
});

describe("who is told when", () => {
  it("calls a person once for what fails together", async () => {
    const smtp = keep(await startSmtp());
    const names = Array.from({ length: 50 }, (_, index) => `n${index}.example`);
    await beginImport("i1");
    await accept(names, route(smtp.port), "i1");
    start();
    // Longer than a call waits at first, so that it has to see that more are coming.
    for (const name of names) {
      await settle(name, "attention", attention);
      await sleep(10);
    }
    const [mail] = await smtp.waitFor(1);
    expect(mail?.subject).toBe("Certherd: 50 certificates need you");
    await sleep(600);
    expect(smtp.messages).toHaveLength(1);
  });

  it("does not call for what has been mended meanwhile", async () => {
    const smtp = keep(await startSmtp());
    start();
    await accept(["a.example"], route(smtp.port));
    await settle("a.example", "attention", attention);
    await settle("a.example", "issued");
    await nothingLeft();
    expect(smtp.messages.map(({ subject }) => subject)).toEqual(["Certherd: a.example issued"]);
  });

  it("tells later changes together", async () => {
    const smtp = keep(await startSmtp());
    start();
    await beginImport("i1");
    await accept(["a.example", "b.example"], route(smtp.port), "i1");
    await endReading("i1", 2);
    await settle("a.example", "waiting", retrying);
    await settle("b.example", "waiting", retrying);
    await smtp.waitFor(1);
    await settle("a.example", "issued");
    await settle("b.example", "waiting", retrying);
    await settle("a.example", "issued");
    const [, mail] = await smtp.waitFor(2);
    expect(mail?.subject).toBe("Certherd: 1 issued, 1 failed since the last mail");
    await nothingLeft();
    expect(smtp.messages).toHaveLength(2);
  });

  it("tells each by itself, or nothing at all, where that is asked for", async () => {
    const smtp = keep(await startSmtp());
    start();
    for (const mode of ["each", "off"] as const) {
      await beginImport(mode, mode);
      await accept([`a.${mode}.example`, `b.${mode}.example`], route(smtp.port), mode);
      await endReading(mode, 2);
      await settle(`a.${mode}.example`, "issued");
      await settle(`b.${mode}.example`, "waiting", retrying);
    }
    const subjects = (await smtp.waitFor(2)).map(({ subject }) => subject).sort();
    expect(subjects).toEqual([
      "Certherd: a.each.example issued",
      "Certherd: b.each.example failed: Port 80 does not answer",
    ]);
    await nothingLeft();
    expect(smtp.messages).toHaveLength(2);
  });

  it("finds what came into a box in the moment its mail was done, and what a crash has left there", async () => {
    const smtp = keep(await startSmtp());
    const mail = route(smtp.port);
    await accept(["a.example", "b.example"], mail);
    for (const id of ["a.example", "b.example"])
      await certificates.transition(id, 1, { status: "attention", ...attention }, Date.now());
    const group = mailGroup(mail, FROM);
    await boxes.drop("now", group, ["a.example"], mail);
    start();
    expect((await smtp.waitFor(1))[0]?.subject).toContain("a.example needs you");
    await boxes.drop("now", group, ["b.example"], mail);
    const [, second] = await smtp.waitFor(2);
    expect(second?.subject).toContain("b.example needs you");
    await nothingLeft();
  });
});
