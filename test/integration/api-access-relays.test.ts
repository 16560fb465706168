/** Relays that are named over HTTP: where they are taken in, and where a real relay would get the mail. */
import { Resolver } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import type { MailRoute } from "../../src/core/certificate.ts";
import { parseRelayRule, RelayPolicy, type RelayRule } from "../../src/core/relays.ts";
import { Mailer } from "../../src/notify/mailer.ts";
import { json, problem, startTestApi, type TestApi, TOKENS } from "../support/api.ts";
import { makeServerCert } from "../support/certs.ts";
import { type FakeDns, startFakeDns } from "../support/challtestsrv.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { type SmtpServer, startSmtp } from "../support/smtp.ts";
import { freePort, tempDir } from "../support/temp.ts";

describe("taking in", () => {
  let server: RedisServer;
  let api: TestApi;

  beforeAll(async () => {
    await ensureTools(["redis"]);
    server = await startRedis();
    api = await startTestApi(server.url, {
      yaml: [
        `mail: { from: c@example.com, relays: ["10.0.0.0/8:25", mail.example.com], operator: { to: o@example.com, relay: 127.0.0.1, port: 2525 } }`,
      ].join("\n"),
    });
  });

  afterAll(async () => {
    await api.stop();
    await server.stop();
  });

  const order = (relay: string, port?: number) =>
    api.ask("/v1/certificates", {
      token: TOKENS.enqueue,
      json: {
        names: [`n${port ?? 25}.example.com`],
        mail: { to: "t@example.com", relay, ...(port ? { port } : {}) },
      },
    });

  it.each(["127.0.0.1", "169.254.169.254", "192.168.1.1", "::1", "localhost"])(
    "refuses %s as a field, and leaves nothing",
    async (relay) => {
      const { errors } = await problem(await order(relay), 422, "invalid_certificate");
      expect(errors).toEqual([
        { field: "mail.relay", value: relay, reason: expect.stringContaining("mail.relays") },
      ]);
      expect(await api.house.certificates.count()).toBe(0);
    },
  );

  it("takes what the configuration allows, or names itself, and notes that it came from a caller", async () => {
    for (const [relay, port] of [
      ["10.1.2.3", 25],
      ["127.0.0.1", 2525],
      ["mail.example.com", 587],
    ] as const) {
      expect((await order(relay, port)).status).toBe(202);
      expect((await api.house.certificates.get(`n${port}.example.com`))?.spec.mail).toMatchObject({
        relay,
        checked: true,
      });
    }
    expect((await order("10.1.2.3", 26)).status).toBe(422);
  });

  it("refuses single rows of a CSV, each with its line and column", async () => {
    const csv = [
      "ok.example.com,443,8888,,t@example.com,10.0.0.1,25",
      "bad.example.com,443,8888,,t@example.com,127.0.0.1,25",
      "none.example.com",
      "worse.example.com,443,8888,,t@example.com,LOCALHOST,25",
    ].join("\n");
    const { accepted, rejected } = await json<{ accepted: number; rejected: object[] }>(
      await api.ask("/v1/imports", { csv, token: TOKENS.enqueue }),
    );
    expect(accepted).toBe(2);
    expect(rejected).toEqual([
      expect.objectContaining({ line: 2, column: "RELAYAddr", value: "127.0.0.1" }),
      expect.objectContaining({ line: 4, column: "RELAYAddr", value: "LOCALHOST" }),
    ]);
  });
});

describe("sending", () => {
  const NAME = "mx.shop.test";
  let dns: FakeDns;
  let stopDns: () => Promise<void>;
  let smtp: SmtpServer;
  let mailers: Mailer[];

  beforeAll(async () => {
    const started = await startFakeDns(tempDir("certherd-relays"));
    dns = started.dns;
    stopDns = () => started.server.stop();
  });

  afterAll(() => stopDns());

  beforeEach(async () => {
    mailers = [];
    smtp = await startSmtp();
  });

  afterEach(async () => {
    for (const mailer of mailers) mailer.close();
    await smtp.stop();
    await dns.clearA(NAME);
  });

  function send(route: Partial<MailRoute>, ...allowed: string[]): Promise<void> {
    const resolver = new Resolver();
    resolver.setServers([dns.address]);
    const mailer = new Mailer({
      timeout: 1_000,
      relays: new RelayPolicy(allowed.map((text) => parseRelayRule(text) as RelayRule)),
      resolve: (host) => resolver.resolve4(host),
    });
    mailers.push(mailer);
    return mailer.send({
      route: { to: "t@example.com", relay: NAME, port: smtp.port, checked: true, ...route },
      from: "c@example.com",
      subject: "s",
      text: "t",
      html: "h",
      messageId: "<1@example.com>",
    });
  }

  it("goes to the address that was looked at, which the name alone would not lead to", async () => {
    await dns.addA(NAME, ["127.0.0.1"]);
    await send({}, "127.0.0.0/8");
    expect(smtp.messages).toHaveLength(1);
  });

  it("is given up where the name leads to this host by now, or one of its addresses does", async () => {
    await dns.addA(NAME, ["127.0.0.1"]);
    await expect(send({})).rejects.toMatchObject({ kind: "refused", unclear: false });
    await dns.clearA(NAME);
    await dns.addA(NAME, ["127.0.0.1", "127.0.0.2"]);
    await expect(send({}, "127.0.0.2")).rejects.toMatchObject({ kind: "refused" });
    await expect(send({ relay: "127.0.0.1" })).rejects.toMatchObject({ kind: "refused" });
    expect(smtp.messages).toEqual([]);
  });

  it("is not looked at where the operator has named the relay", async () => {
    const { checked: _, ...route } = { relay: "127.0.0.1", port: smtp.port, checked: undefined };
    const mailer = new Mailer({ timeout: 1_000 });
    mailers.push(mailer);
    const mail = { from: "c@example.com", subject: "s", text: "t", html: "h", messageId: "<2@example.com>" };
    await mailer.send({ ...mail, route: { to: "t@example.com", ...route } });
    expect(smtp.messages).toHaveLength(1);
  });

  it("comes again where the name cannot be looked up", async () => {
    await dns.setServfail(NAME);
    await expect(send({})).rejects.toMatchObject({ kind: "relay", unclear: false });
    await dns.clearServfail(NAME);
  });

  it("tells the relay's name for its certificate, though it connects to an address", async () => {
    const dir = tempDir("certherd-sni");
    const made = await makeServerCert(dir);
    const context = createSecureContext({
      cert: readFileSync(made.certPath),
      key: readFileSync(made.keyPath),
    });
    const port = await freePort();
    const names: unknown[] = [];
    const server: Server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.write("220 relay ESMTP\r\n");
      socket.on("data", (data) => {
        const line = String(data);
        if (/^(EHLO|HELO)/i.test(line)) socket.write("250-relay\r\n250 STARTTLS\r\n");
        if (!/^STARTTLS/i.test(line)) return;
        socket.removeAllListeners("data");
        socket.write("220 go\r\n");
        const secure = new TLSSocket(socket, {
          isServer: true,
          secureContext: context,
          SNICallback: (name, done) => {
            names.push(name);
            done(null, context);
          },
        });
        secure.on("error", () => undefined);
        secure.on("data", () => secure.write("421 bye\r\n"));
      });
    }).listen(port, "127.0.0.1");
    await dns.addA(NAME, ["127.0.0.1"]);
    await expect(send({ port }, "127.0.0.1")).rejects.toMatchObject({ kind: "relay" });
    server.close();
    expect(names).toEqual([NAME]);
  });
});
