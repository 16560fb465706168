/** Which Redis is taken, and what is said of one that is not. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { AppError } from "../../src/core/errors.ts";
import { openCheckedRedis, withoutPassword } from "../../src/store/redis.ts";
import { type RedisServer, type RedisServerOptions, startRedis } from "../support/redis.ts";
import { freePort } from "../support/temp.ts";

const stops: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function redis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  stops.push(() => server.stop());
  return server;
}

async function withPassword(): Promise<RedisServer> {
  const server = await redis();
  await server.client().config("SET", "requirepass", "s3cret");
  return server;
}

async function refusal(url: string): Promise<AppError> {
  return await openCheckedRedis(url, "test").then(
    (opened) => {
      opened.disconnect();
      throw new Error("It was taken.");
    },
    (error: AppError) => error,
  );
}

/** Takes connections and never says a word. */
async function silentListener(): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).resume();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  stops.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return typeof address === "object" && address ? address.port : 0;
}

describe("a Redis", () => {
  it("that keeps what it is given is taken, and waits through an outage", async () => {
    const server = await redis({ appendOnly: true });
    const opened = await openCheckedRedis(server.url, "test");
    stops.push(() => opened.disconnect());
    await opened.set("a", "1");
    await server.kill9();
    const waiting = opened.get("a");
    await server.restart();
    expect(await waiting).toBe("1");
    expect(String(await opened.client("LIST"))).toContain("name=certherd:test");
  });

  it("may be named by another database, a password, or a user", async () => {
    const server = await withPassword();
    for (const url of [
      `redis://:s3cret@127.0.0.1:${server.port}/3`,
      `redis://default:s3cret@127.0.0.1:${server.port}`,
    ]) {
      const opened = await openCheckedRedis(url, "test");
      expect(await opened.ping()).toBe("PONG");
      opened.disconnect();
    }
  });

  it.each(["allkeys-lru", "volatile-ttl"])(
    "that may throw keys away (%s) is refused, with the cure",
    async (policy) => {
      const server = await redis({ args: ["--maxmemory-policy", policy] });
      expect(await refusal(server.url)).toMatchObject({
        code: "redis_unavailable",
        disposition: "unavailable",
        message: expect.stringMatching(
          new RegExp(`maxmemory-policy is ${policy}.*redis-cli CONFIG SET maxmemory-policy noeviction\\.$`),
        ),
      });
    },
  );

  it.each([
    ["no password", (port: number) => `redis://127.0.0.1:${port}`, /NOAUTH/],
    ["a wrong password", (port: number) => `redis://:wr0ng@127.0.0.1:${port}`, /WRONGPASS/],
  ])("that wants a password and gets %s is refused at once", async (_, url, reason) => {
    const server = await withPassword();
    const { message, disposition } = await refusal(url(server.port));
    expect(disposition).toBe("unavailable");
    expect(message).toMatch(reason);
    expect(message).toMatch(/[^.]\.$/);
    expect(message).toMatch(/REDIS_URL/);
    expect(message).not.toMatch(/wr0ng|s3cret/);
  });

  it("that does not answer, or is not there, is given up after 5 s, with reason and cure", async () => {
    const [silent, nothing] = [await silentListener(), await freePort()];
    const before = Date.now();
    const [mute, gone, host] = await Promise.all([
      refusal(`redis://:s3cret@127.0.0.1:${silent}`),
      refusal(`redis://:s3cret@127.0.0.1:${nothing}`),
      refusal("redis://:s3cret@redis.invalid:6379"),
    ]);
    expect(Date.now() - before).toBeGreaterThanOrEqual(4_900);
    expect(mute.message).toBe(
      `Redis at redis://:…@127.0.0.1:${silent} did not answer within 5 s; start it, or correct REDIS_URL.`,
    );
    expect(gone.message).toBe(
      `Redis at redis://:…@127.0.0.1:${nothing} did not answer within 5 s (connect ECONNREFUSED 127.0.0.1:${nothing}); start it, or correct REDIS_URL.`,
    );
    expect(host.message).toMatch(/did not answer within 5 s \(getaddrinfo .*redis\.invalid\); start it/);
    for (const error of [mute, gone, host]) expect(error.disposition).toBe("unavailable");
  });
});

describe("a URL as it is shown", () => {
  it.each([
    ["redis://localhost:6379", "redis://localhost:6379"],
    ["redis://:s3cret@localhost/1", "redis://:…@localhost/1"],
    ["rediss://user:s3cret@redis.example", "rediss://user:…@redis.example"],
    ["redis://localhost?password=s3cret&db=1", "redis://localhost?password=…&db=1"],
    ["unix:///run/redis.sock", "unix:///run/redis.sock"],
    ["redis://user%zz:s3cret@localhost", "redis://user%zz:…@localhost"],
    ["no URL", "no URL"],
  ])("%s → %s", (url, shown) => {
    expect(withoutPassword(url)).toBe(shown);
  });
});
