/** Who answers http-01: real listeners, told by a real Redis which ports to open and what to answer. */
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { RespondersInRedis } from "../../src/respond/directory.ts";
import { RespondService } from "../../src/respond/service.ts";
import { Challenges } from "../../src/store/challenges.ts";
import type { Redis } from "../../src/store/redis.ts";
import { Responders } from "../../src/store/responders.ts";
import { httpRequest } from "../support/http.ts";
import { startRedis } from "../support/redis.ts";
import { freePort, waitUntil } from "../support/temp.ts";
import { withRedis } from "../support/with-redis.ts";

const TOKEN = "YA83uhwXlMCG370KSi101RkgIZfLpSA7-H1qfvgYj70";
const PATH = `/.well-known/acme-challenge/${TOKEN}`;
const ANSWER = `${TOKEN}.thumbprint`;

let redis: Redis;
let challenges: Challenges;
let responders: Responders;
let lines: string[];
const stops: (() => unknown)[] = [];

withRedis((client) => {
  redis = client;
  challenges = new Challenges(redis);
  responders = new Responders(redis);
});

beforeEach(async () => {
  lines = [];
  await challenges.put([{ token: TOKEN, keyAuthorization: ANSWER }]);
});

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function respond(name = "lb1:1", host = "127.0.0.1"): Promise<RespondService> {
  const log = (line: string): void => void lines.push(line);
  const service = await new RespondService({
    host,
    name,
    challenges,
    responders,
    validating: async () => 0,
    log,
  }).start();
  stops.push(() => service.close());
  return service;
}

/** As each issuing process has one. */
function directory(patience = 5_000): RespondersInRedis {
  return new RespondersInRedis(responders, systemClock, patience);
}

/** Another program on the port. */
async function take(port: number): Promise<Server> {
  const other = createServer((socket) => socket.destroy());
  await once(other.listen(port, "127.0.0.1"), "listening");
  stops.push(() => free(other));
  return other;
}

async function free(other: Server): Promise<void> {
  if (other.listening) await new Promise((resolve) => other.close(resolve));
}

async function answerOf(port: number, path = PATH, method = "GET") {
  const { status, body, headers } = await httpRequest(`http://127.0.0.1:${port}${path}`, { method });
  return { status, body, type: headers["content-type"] };
}

describe("a responder", () => {
  it("answers the token of a challenge on a port that was asked for after its start", async () => {
    const port = await freePort();
    await respond();
    await expect(answerOf(port)).rejects.toThrow(/ECONNREFUSED/);
    await directory().ready(port);
    expect(await answerOf(port)).toEqual({ status: 200, body: ANSWER, type: "application/octet-stream" });
    expect(await answerOf(port, `${PATH}?from=ca`)).toMatchObject({ status: 200, body: ANSWER });
    expect(await answerOf(port, PATH, "HEAD")).toMatchObject({ status: 200, body: "" });
  });

  it("opens at its start what was asked for before, each port once", async () => {
    const ports = [await freePort(), await freePort()];
    for (const port of [...ports, ...ports]) await responders.ask(port);
    await respond();
    for (const port of ports) expect(await answerOf(port)).toMatchObject({ status: 200 });
    expect(lines.filter((line) => /taken|cannot/.test(line))).toEqual([]);
  });

  it("answers whatever was put, and no longer what was dropped", async () => {
    const port = await freePort();
    await responders.ask(port);
    await respond();
    const other = TOKEN.replace("YA83", "zzzz");
    await challenges.put([{ token: other, keyAuthorization: "another" }]);
    expect(await answerOf(port, PATH.replace("YA83", "zzzz"))).toMatchObject({ body: "another" });
    await challenges.drop([TOKEN]);
    expect(await answerOf(port)).toMatchObject({ status: 404 });
  });

  it.each([
    ["GET", "/", 404],
    ["GET", "/.well-known/acme-challenge/", 404],
    ["GET", `/.well-known/acme-challenge/${TOKEN}/`, 404],
    ["GET", `/.well-known/acme-challenge/%59${TOKEN.slice(1)}`, 404],
    ["GET", "/.well-known/acme-challenge/short", 404],
    ["GET", `/.well-known/acme-challenge/${"x".repeat(257)}`, 404],
    ["GET", `/.well-known/acme-challenge/${TOKEN.slice(1)}x`, 404],
    ["GET", "/.well-known/acme-challenge/..%2f..%2f..%2fetc%2fpasswd", 404],
    ["GET", `/healthz/${TOKEN}`, 404],
    ["POST", PATH, 405],
    ["DELETE", PATH, 405],
    ["POST", "/", 404],
  ])("answers %s %s with %d, and nothing of what it knows", async (method, path, status) => {
    const port = await freePort();
    await responders.ask(port);
    await respond();
    const answer = await answerOf(port, path, method);
    expect(answer.status).toBe(status);
    expect(answer.body).not.toContain("thumbprint");
  });

  it("outlives those who talk nonsense to it", async () => {
    const port = await freePort();
    await responders.ask(port);
    await respond();
    for (const nonsense of ["\x16\x03\x01\x00", "GET\r\n\r\n", `GET ${"x".repeat(100_000)}`]) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => undefined);
      socket.resume().end(nonsense);
      await new Promise((resolve) => socket.once("close", resolve));
    }
    expect(await answerOf(port)).toMatchObject({ status: 200 });
  });

  it("says 503 while Redis is away, and answers when it is back", async () => {
    const port = await freePort();
    const away = await startRedis();
    stops.push(() => away.stop());
    const client = away.client({ maxRetriesPerRequest: 0, enableOfflineQueue: false });
    const own = new Challenges(client);
    await waitUntil(() => client.status === "ready");
    await responders.ask(port);
    const options = {
      host: "127.0.0.1",
      name: "lb1:1",
      responders,
      log: () => undefined,
      validating: async () => 0,
    };
    const service = await new RespondService({ ...options, challenges: own }).start();
    stops.push(() => service.close());
    await own.put([{ token: TOKEN, keyAuthorization: ANSWER }]);
    expect(await answerOf(port)).toMatchObject({ status: 200 });
    await away.kill9();
    // Another token: the one before has just been asked for, and is remembered.
    const other = `${PATH}-other`;
    await waitUntil(async () => (await answerOf(port, other)).status === 503);
    expect(await answerOf(port)).toMatchObject({ status: 200 });
    await away.restart();
    await waitUntil(async () => (await answerOf(port, other)).status === 404);
  });

  it("stays for validations under way when it is closed", async () => {
    const port = await freePort();
    const options = { host: "127.0.0.1", name: "lb1:1", challenges, responders, log: () => undefined };
    const service = await new RespondService({ ...options, validating: async () => 3 }).start();
    await directory().ready(port);
    const closed = service.close();
    expect(await answerOf(port)).toMatchObject({ status: 200 });
    await closed;
    await expect(answerOf(port)).rejects.toThrow(/ECONNREFUSED/);
  });

  it("frees its ports when it is closed, and is missed", async () => {
    const port = await freePort();
    const service = await respond();
    await directory().ready(port);
    await service.close();
    await expect(answerOf(port)).rejects.toThrow(/ECONNREFUSED/);
    await expect(directory(200).ready(port)).rejects.toMatchObject({ code: "no_responder" });
  });
});

describe("a port that something else has taken", () => {
  it("is named with what to do, hurts no other port, and is had as soon as it is free", async () => {
    const [taken, fine] = [await freePort(), await freePort()];
    const other = await take(taken);
    await respond();
    const [refused, ready] = await Promise.allSettled([
      directory(1_200).ready(taken),
      directory().ready(fine),
    ]);
    expect(ready.status).toBe("fulfilled");
    expect(refused).toMatchObject({
      status: "rejected",
      reason: {
        code: "acme_port_taken",
        disposition: "node",
        message: `Port ${taken} on 127.0.0.1 is taken by another program; stop that program (ss -ltnp shows it), or use another ACMEPort.`,
      },
    });
    expect(await answerOf(fine)).toMatchObject({ status: 200 });
    // It is tried again and again, but told once.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(lines.filter((line) => line.includes(`${taken}`))).toHaveLength(1);
    await free(other);
    await directory().ready(taken);
    expect(await answerOf(taken)).toMatchObject({ status: 200 });
  });

  it("is told for what it is where the address is not this host's", async () => {
    await respond("lb1:1", "203.0.113.77");
    await expect(directory(1_000).ready(await freePort())).rejects.toMatchObject({
      disposition: "node",
      message: "The address 203.0.113.77 is not one of this host's; correct acmeListen.",
    });
  });
});

describe("two responders", () => {
  it("both answer; it is enough that one of them can", async () => {
    const port = await freePort();
    await responders.ask(port);
    await respond("lb1:1", "127.0.0.1");
    await respond("lb2:1", "127.0.0.2");
    await waitUntil(async () => (await responders.states(port, Date.now())).join() === "ok,ok");
    for (const host of ["127.0.0.1", "127.0.0.2"])
      expect((await httpRequest(`http://${host}:${port}${PATH}`)).body).toBe(ANSWER);
    const shared = await freePort();
    await take(shared);
    await directory().ready(shared);
    const states = await responders.states(shared, Date.now());
    expect(states.filter((state) => state === "ok")).toHaveLength(1);
  });

  it("do not get into each other's way on one address: the second waits for the first one's port", async () => {
    const port = await freePort();
    const first = await respond("lb1:1");
    await directory().ready(port);
    await respond("lb1:2");
    expect(await responders.states(port, Date.now())).toContain("ok");
    await first.close();
    await waitUntil(async () => (await answerOf(port).catch(() => ({ status: 0 }))).status === 200);
    await directory().ready(port);
  });

  it("that has died without a word is no more counted on after ten seconds", async () => {
    const port = await freePort();
    await responders.report("dead:1", new Map([[port, "ok"]]), Date.now() - 10_001);
    expect(await responders.states(port, Date.now())).toEqual([]);
    expect(await redis.pttl("{certherd}:responder:dead:1")).toBeGreaterThan(0);
  });
});

it("many that ask for one port at once are one question, believed for some seconds", async () => {
  const port = await freePort();
  const service = await respond();
  const asking = directory();
  await Promise.all(Array.from({ length: 100 }, () => asking.ready(port)));
  await service.close();
  // Still believed: nothing is asked of Redis, where nobody is left.
  await asking.ready(port);
  await expect(directory(100).ready(port)).rejects.toMatchObject({ disposition: "node" });
});
