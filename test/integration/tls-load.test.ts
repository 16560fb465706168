import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, createServer as createTlsServer, type SecureContext } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { generateKey } from "../../src/pki/keys.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import { freePort, waitUntil } from "../support/temp.ts";
import { OWN, startTlsLoad, type TlsLoad } from "../support/tls-load.ts";

let ca: TestCa;
let contexts: Record<string, SecureContext>;
let pair: { key: string; cert: string };
let load: TlsLoad | undefined;
const servers: Server[] = [];
const sockets = new Set<Socket>();

beforeAll(async () => {
  ca = await makeTestCa();
  const key = await generateKey("ec256");
  const cert = (serial: string) => ca.leaf(key, ["DNS:a.example"], serial) + ca.intermediatePem;
  const serials = { old: "0x0a01", new: "0x0a02", other: "0x0b01" };
  contexts = Object.fromEntries(
    Object.entries(serials).map(([name, serial]) => [name, createSecureContext({ key, cert: cert(serial) })]),
  );
  pair = { key, cert: cert("0x0d") };
}, 120_000);

afterAll(() => ca.stop());

afterEach(async () => {
  await load?.stop().catch(() => undefined);
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

/** Shows what `choose` names; the default certificate (serial 0D) for anything else. */
async function server(choose: (name: string) => string, status = "200 OK"): Promise<number> {
  const listener = createTlsServer({
    ...pair,
    SNICallback: (name, done) => done(null, contexts[choose(name)]),
  });
  listener.on("tlsClientError", () => undefined);
  listener.on("secureConnection", (socket) => {
    socket.on("error", () => undefined);
    socket.on("data", () => socket.end(`HTTP/1.0 ${status}\r\nContent-Length: 2\r\n\r\nok`));
  });
  return await listen(listener);
}

async function listen(listener: Server): Promise<number> {
  servers.push(listener);
  listener.on("connection", (socket: Socket) => {
    sockets.add(socket.on("error", () => undefined).on("close", () => sockets.delete(socket)));
  });
  await once(listener.listen(await freePort(), "127.0.0.1"), "listening");
  return (listener.address() as { port: number }).port;
}

const seen = (running: TlsLoad, what: "ok" | "failed" | "wrong", count: number) =>
  waitUntil(async () => (await running.totals())[what] >= count, { what: `${count} connections ${what}` });

it("finds nothing to complain about where each name has its own certificate, old or new", async () => {
  let current = "old";
  const choose = (name: string) => (name === "a.example" ? current : "default");
  const targets = [{ port: await server(choose) }, { port: await server(choose) }];
  load = await startTlsLoad({ targets, allowed: { "a.example": ["0A01", "0A02"], "b.example": ["0D"] } });
  await seen(load, "ok", 100);
  current = "new";
  await seen(load, "ok", 200);
  await load.allow({ "a.example": ["0A02"], "c.example": ["0D"] });
  await seen(load, "ok", 300);
  const totals = await load.stop();
  expect(totals).toMatchObject({ failed: 0, wrong: 0, reasons: {}, examples: [], open: 0 });
  expect(totals.ok).toBe(totals.opened);
});

it("notices the certificate of another name, and one that is no longer allowed", async () => {
  const port = await server((name) => (name === "b.example" ? "other" : "old"));
  load = await startTlsLoad({ targets: [{ port }], allowed: { "a.example": ["0A01"] } });
  await seen(load, "ok", 10);
  expect((await load.totals()).wrong).toBe(0);
  await load.allow({ "b.example": ["0A01"] });
  await seen(load, "wrong", 1);
  expect((await load.totals()).reasons).toEqual({ "serial 0B01": expect.any(Number) });
  await load.allow({ "a.example": ["0A02"], "b.example": ["0B01"] });
  await waitUntil(async () => (await load?.totals())?.reasons["serial 0A01"]);
  const { ok, wrong, failed, opened, examples } = await load.stop();
  expect(failed).toBe(0);
  expect(ok + wrong).toBe(opened);
  expect(examples[0]).toMatchObject({ name: "b.example", port, what: "serial 0B01" });
});

it("takes any certificate of that very name where that is allowed, and no other name's", async () => {
  const port = await server((name) => (name === "b.example" ? "old" : "new"));
  load = await startTlsLoad({ targets: [{ port }], allowed: { "a.example": [OWN] } });
  await seen(load, "ok", 10);
  expect((await load.totals()).wrong).toBe(0);
  await load.allow({ "b.example": [OWN] });
  await seen(load, "wrong", 1);
  const { reasons, failed } = await load.stop();
  expect({ reasons, failed }).toEqual({ reasons: { "serial 0A01": expect.any(Number) }, failed: 0 });
});

it("notices a port that is closed", async () => {
  const targets = [{ port: await server(() => "old") }, { port: await freePort() }];
  load = await startTlsLoad({ targets, allowed: { "a.example": ["0A01"] } });
  await seen(load, "failed", 10);
  const { ok, wrong, failed, reasons } = await load.stop();
  expect(reasons).toEqual({ "ECONNREFUSED in the handshake": failed });
  expect(wrong).toBe(0);
  expect(Math.abs(ok - failed)).toBeLessThanOrEqual(1);
});

it.each([
  [
    "ends the connection in the handshake",
    () => createServer((socket) => void socket.once("data", () => socket.end())),
    "ECONNRESET in the handshake",
  ],
  [
    "says nothing",
    () => createServer((socket) => void socket.on("error", () => undefined).resume()),
    "no answer in time",
  ],
  [
    "answers without HTTP",
    () =>
      createTlsServer(
        pair,
        (socket) =>
          void socket
            .on("error", () => undefined)
            .resume()
            .end("hello"),
      ),
    "no HTTP answer",
  ],
  [
    "ends the connection before an answer",
    () =>
      createTlsServer(
        pair,
        (socket) =>
          void socket
            .on("error", () => undefined)
            .resume()
            .end(),
      ),
    "closed before an answer",
  ],
])("notices a server that %s, and opens no fewer connections for it", async (_, make, reason) => {
  const port = await listen(make());
  load = await startTlsLoad({ targets: [{ port }], allowed: { "a.example": ["0D"] }, timeoutMs: 300 });
  await seen(load, "failed", 100);
  const { ok, wrong, failed, opened, reasons } = await load.stop();
  expect({ ok, wrong, failed }).toEqual({ ok: 0, wrong: 0, failed: opened });
  expect(reasons).toEqual({ [reason]: failed });
});

it("notices an answer that says that nothing is behind", async () => {
  const port = await server(() => "old", "503 Service Unavailable");
  load = await startTlsLoad({ targets: [{ port }], allowed: { "a.example": ["0A01"] } });
  await seen(load, "failed", 5);
  expect((await load.stop()).reasons).toEqual({ "HTTP status 503": expect.any(Number) });
});

it("takes a refused name for right only where that is allowed", async () => {
  const alert = Buffer.from([21, 3, 3, 0, 2, 2, 112]);
  const port = await listen(createServer((socket) => void socket.once("data", () => socket.end(alert))));
  load = await startTlsLoad({ targets: [{ port }], allowed: { "a.example": [""] } });
  await seen(load, "ok", 5);
  expect((await load.totals()).failed).toBe(0);
  await load.allow({ "b.example": ["0B01"] });
  await seen(load, "failed", 1);
  expect((await load.stop()).reasons).toEqual({
    "tlsv1 unrecognized name in the handshake": expect.any(Number),
  });
});
