/** What becomes of a CA that answers as Pebble never would: a server that does as it is told. */
import { createServer, type Socket } from "node:net";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { AcmeClientSession } from "../../src/acme/session.ts";
import { openEndpoint, retryAtOf } from "../../src/acme/transport.ts";
import type { AppError } from "../../src/core/errors.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { type Answer, type ScriptedServer, startScripted } from "../support/scripted-http.ts";
import { waitUntil } from "../support/temp.ts";

let key: string;
const stops: (() => unknown)[] = [];

beforeAll(async () => {
  key = await generateKey("ec256");
}, 120_000);

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

function keep<T extends { stop(): Promise<void> }>(server: T): T {
  stops.push(() => server.stop());
  return server;
}

async function failure(promise: Promise<unknown>): Promise<AppError> {
  return await promise.then(
    () => Promise.reject(new Error("It did not fail.")),
    (error: AppError) => error,
  );
}

describe("with a server that answers a new order", () => {
  const problem = (type: string, status: number, headers = {}, detail = "slow down"): Answer => ({
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
    body: JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail, status }),
  });

  /** A CA of which only the answer to newOrder matters. */
  async function newOrder(script: (socket: Socket, n: number) => Answer | undefined, timeout = 10_000) {
    let n = 0;
    const server: ScriptedServer = keep(
      await startScripted(({ url, method, socket }): Answer | undefined => {
        const at = (path: string): string => `${server.url}/${path}`;
        const nonce = { "Replay-Nonce": `nonce-${n++}` };
        if (url === "/dir")
          return {
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify({ newNonce: at("nonce"), newOrder: at("order"), newAccount: at("account") }),
          };
        if (method === "HEAD") return { headers: nonce };
        const answer = script(socket, n);
        return answer && { ...answer, headers: { ...nonce, Location: at("order/1"), ...answer.headers } };
      }),
    );
    stops.push(openEndpoint({ directory: `${server.url}/dir`, userAgent: "certherd-test", timeout }));
    const acme = new AcmeClientSession({
      directory: `${server.url}/dir`,
      keyPem: key,
      url: `${server.url}/a`,
    });
    return { server, acme, order: () => acme.newOrder(["a.example"]) };
  }

  it.each([
    [
      "503 and Retry-After in seconds",
      "transient",
      problem("serverInternal", 503, { "Retry-After": "7200" }),
    ],
    ["429 and Retry-After in seconds", "limit", problem("rateLimited", 429, { "Retry-After": "7200" })],
    ["503 in HTML", "transient", { status: 503, headers: { "Retry-After": "7200" }, body: "<h1>Busy</h1>" }],
    [
      "429 and Retry-After as a date",
      "limit",
      problem("rateLimited", 429, { "Retry-After": new Date(Date.now() + 7_200_000).toUTCString() }),
    ],
  ])("with %s: the moment is told at once, and not slept through", async (_, disposition, answer) => {
    const { server, order } = await newOrder(() => answer);
    const before = Date.now();
    const error = await failure(order());
    expect(error.disposition).toBe(disposition);
    expect(error.retryAt).toBeGreaterThan(before + 7_100_000);
    expect(error.retryAt).toBeLessThan(before + 7_300_000);
    expect(server.requests.filter((line) => line === "POST /order")).toHaveLength(1);
  });

  it.each<[string, Answer, object]>([
    ["500", problem("serverInternal", 500), { disposition: "transient", code: "server_internal" }],
    [
      "429 that is a pause",
      problem("rateLimited", 429, {}, "Please visit: https://ca/unpause?jwt=a.b.c"),
      { disposition: "attention", code: "paused_by_ca", url: "https://ca/unpause?jwt=a.b.c" },
    ],
    ["429 and no Retry-After", problem("rateLimited", 429), { disposition: "limit", code: "rate_limited" }],
    [
      "502 in HTML",
      {
        status: 502,
        headers: { "Content-Type": "text/html" },
        body: "<html>\n<h1>Bad Gateway</h1>\n</html>",
      },
      {
        disposition: "transient",
        code: "http_502",
        message: expect.stringMatching(/answered 502: <html> <h1>Bad/),
      },
    ],
    ["403 and nothing", { status: 403 }, { disposition: "attention", code: "http_403" }],
    [
      "an error in JSON that is broken",
      { status: 500, headers: { "Content-Type": "application/problem+json" }, body: '{"type": "urn' },
      { disposition: "transient", code: "http_500" },
    ],
    [
      "JSON that is broken",
      { status: 201, headers: { "Content-Type": "application/json" }, body: '{"status": "pend' },
      { disposition: "transient", code: "ca_answer" },
    ],
    [
      "a page in HTML",
      { status: 200, headers: { "Content-Type": "text/html" }, body: "<h1>Welcome</h1>" },
      { disposition: "transient", code: "ca_answer" },
    ],
    [
      "JSON that is no order",
      { status: 201, headers: { "Content-Type": "application/json" }, body: '{"hello": 1}' },
      { disposition: "transient", code: "ca_answer" },
    ],
    [
      "an order in a status that there is not",
      {
        status: 201,
        headers: { "Content-Type": "application/json" },
        body: '{"status": "lost", "authorizations": [], "finalize": "https://ca/f"}',
      },
      { disposition: "transient", code: "ca_answer" },
    ],
    [
      "two megabytes",
      { status: 201, body: "x".repeat(2 * 1024 * 1024) },
      {
        disposition: "transient",
        code: "ca_unreachable",
        message: expect.stringMatching(/larger than 1 MiB/),
      },
    ],
  ])("with %s", async (_, answer, expected) => {
    const { server, order } = await newOrder(() => answer);
    expect(await failure(order())).toMatchObject(expected);
    expect(server.requests.filter((line) => line === "POST /order")).toHaveLength(1);
  });

  it("never, it is given up in time", async () => {
    const { order } = await newOrder(() => undefined, 300);
    expect(await failure(order())).toMatchObject({
      code: "ca_unreachable",
      disposition: "transient",
      message: expect.stringMatching(/cannot be reached: no answer in time\.$/),
    });
  });

  it("by hanging up, or half of it", async () => {
    const { order } = await newOrder((socket) => {
      socket.destroy();
      return undefined;
    });
    expect(await failure(order())).toMatchObject({ code: "ca_unreachable", disposition: "transient" });
    const cut = await newOrder((socket) => {
      socket.end("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{");
      return undefined;
    });
    expect(await failure(cut.order())).toMatchObject({ code: "ca_unreachable", disposition: "transient" });
  });

  it("with Retry-After beside the order, as the moment to look again", async () => {
    const body = JSON.stringify({ status: "pending", authorizations: [], finalize: "http://127.0.0.1/f" });
    const headers = { "Content-Type": "application/json", "Retry-After": "90" };
    const { order } = await newOrder(() => ({ status: 201, headers, body }));
    const before = Date.now();
    const { retryAt = 0 } = await order();
    expect(retryAt).toBeGreaterThanOrEqual(before + 90_000);
    expect(retryAt).toBeLessThan(before + 150_000);
    expect(retryAtOf({})).toBeUndefined();
  });

  it("with badNonce for ever, it is tried six times and then later", async () => {
    const { server, order } = await newOrder(() => problem("badNonce", 400));
    expect(await failure(order())).toMatchObject({ disposition: "transient" });
    expect(server.requests.filter((line) => line === "POST /order")).toHaveLength(6);
  });

  it("each request is signed with another nonce", async () => {
    const used = new Set<string>();
    const body = JSON.stringify({ status: "pending", authorizations: [], finalize: "http://127.0.0.1/f" });
    const headers = { "Content-Type": "application/json" };
    const { server, acme } = await newOrder((_, n) => {
      used.add(`nonce-${n}`);
      return { status: 201, headers, body };
    });
    await Promise.all(Array.from({ length: 10 }, () => acme.newOrder(["a.example"])));
    for (let i = 0; i < 10; i++) await acme.newOrder(["a.example"]);
    expect(server.requests.filter((line) => line === "POST /order")).toHaveLength(20);
    expect(used.size).toBe(20);
  });
});

it("leaves no connection behind when the way is closed", async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket
      .on("error", () => undefined)
      .resume()
      .on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  const directory = `http://127.0.0.1:${port}/dir`;
  const close = openEndpoint({ directory, userAgent: "certherd-test" });
  const acme = new AcmeClientSession({ directory, keyPem: key, url: `http://127.0.0.1:${port}/a` });
  const waiting = failure(acme.newOrder(["a.example"]));
  await waitUntil(() => sockets.size === 1);
  close();
  expect(await waiting).toMatchObject({ disposition: "transient" });
  await waitUntil(() => sockets.size === 0);
  await new Promise((resolve) => server.close(resolve));
});
