/** DNS UPDATE against BIND, and what its name servers are found to have. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { run } from "../../src/deploy/targets/run.ts";
import { Dns01 } from "../../src/dns/dns01.ts";
import { createExec } from "../../src/dns/exec.ts";
import { createRfc2136, type Rfc2136Settings } from "../../src/dns/rfc2136.ts";
import { type Bind, startBind } from "../support/bind.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";

const ZONE = "example.test";
const NAME = `_acme-challenge.${ZONE}`;
const at = (value: string, name = NAME, zone = ZONE) => ({ name, value, zone });

let bind: Bind;

beforeAll(async () => {
  bind = await startBind({
    zones: [
      {
        name: ZONE,
        records: [
          "_acme-challenge.shop IN CNAME shop.acme.test.",
          "_acme-challenge.far IN CNAME one",
          "one IN CNAME two",
          "two IN CNAME far.acme.test.",
          "_acme-challenge.round IN CNAME there",
          "there IN CNAME back",
          "back IN CNAME there",
          "_acme-challenge.out IN CNAME out.elsewhere.test.",
          ...Array.from(
            { length: 12 },
            (_, n) => `${n === 0 ? "_acme-challenge.long" : `l${n}`} IN CNAME l${n + 1}`,
          ),
        ],
      },
      { name: "acme.test" },
      { name: "locked.test", updates: false },
    ],
  });
});

afterAll(async () => {
  await bind.stop();
});

function settings(
  more: Partial<Rfc2136Settings> = {},
  key: Partial<Rfc2136Settings["key"]> = {},
): Rfc2136Settings {
  const { name, secret } = bind.key;
  return {
    server: { address: "127.0.0.1", port: bind.port },
    key: { name, algorithm: "hmac-sha256", secret: Buffer.from(secret, "base64"), ...key },
    ttl: 1,
    transport: "tcp",
    timeout: 3_000,
    ...more,
  };
}

const provider = (...args: Parameters<typeof settings>) => createRfc2136(settings(...args), systemClock);

describe("DNS UPDATE", () => {
  it.each(["tcp", "udp"] as const)("over %s sets and removes single values of a name", async (transport) => {
    const { present, cleanUp } = provider({ transport });
    await Promise.all([present(at("one")), present(at("two")), present(at("three"))]);
    await present(at("one"));
    expect((await bind.txt(NAME)).sort()).toEqual(["one", "three", "two"]);
    await cleanUp(at("two"));
    await cleanUp(at("two"));
    expect((await bind.txt(NAME)).sort()).toEqual(["one", "three"]);
    await cleanUp(at("one"));
    await cleanUp(at("three"));
    expect(await bind.txt(NAME)).toEqual([]);
  });

  it("a hundred at once get through", async () => {
    const { present, cleanUp } = provider();
    const many = Array.from({ length: 100 }, (_, n) =>
      at(`value-${n}`, `_acme-challenge.h${n % 50}.${ZONE}`),
    );
    await Promise.all(many.map(present));
    expect((await bind.txt(`_acme-challenge.h7.${ZONE}`)).sort()).toEqual(["value-57", "value-7"]);
    await Promise.all(many.map(cleanUp));
    expect(await bind.txt(`_acme-challenge.h7.${ZONE}`)).toEqual([]);
  });

  it.each([
    ["dns_key_wrong", "attention", /BADSIG/, () => provider({}, { secret: Buffer.from("something else") })],
    ["dns_key_unknown", "attention", /BADKEY/, () => provider({}, { name: "nobody" })],
    [
      "dns_clock",
      "node",
      /by (999|1000|1001) s/,
      () => createRfc2136(settings(), { now: () => Date.now() - 1_000_000 }),
    ],
  ] as const)("a key or clock that is wrong is %s", async (code, disposition, words, make) => {
    await expect(make().present(at("x"))).rejects.toMatchObject({
      code,
      disposition,
      message: expect.stringMatching(words),
    });
    expect(await bind.txt(NAME)).toEqual([]);
  });

  it.each([
    ["dns_update_refused", at("x", "_acme-challenge.locked.test", "locked.test")],
    ["dns_not_authoritative", at("x", "_acme-challenge.strange.test", "strange.test")],
    ["dns_update_failed", at("x", "_acme-challenge.acme.test", ZONE)],
  ])("what the server does not do is %s", async (code, record) => {
    await expect(provider().present(record)).rejects.toMatchObject({ code, disposition: "attention" });
  });

  it("a server that is not there is asked again later", async () => {
    const port = await freePort();
    for (const transport of ["tcp", "udp"] as const)
      await expect(
        provider({ server: { address: "127.0.0.1", port }, transport, timeout: 500 }).present(at("x")),
      ).rejects.toMatchObject({ code: "dns_server_unreachable", disposition: "unavailable" });
  });

  it.each(["hmac-sha384", "hmac-sha512", "hmac-sha1"] as const)("signs with %s", async (algorithm) => {
    const other = await startBind({ zones: [{ name: ZONE }], algorithm });
    try {
      const server = { address: "127.0.0.1", port: other.port };
      await provider({ server }, { algorithm }).present(at("signed"));
      expect(await other.txt(NAME)).toEqual(["signed"]);
    } finally {
      await other.stop();
    }
  });
});

describe("where a TXT goes, and who has it", () => {
  const dns = () =>
    new Dns01({
      providers: [
        { name: "main", zones: [ZONE], servers: [], driver: provider() },
        { name: "acme", zones: ["acme.test"], servers: [], driver: provider() },
        { name: "sub", zones: [`sub.${ZONE}`], servers: [], driver: provider() },
      ],
      resolvers: [bind.primary],
      port: bind.port,
      clock: systemClock,
    });

  it.each([
    [ZONE, { provider: "main", name: NAME, zone: ZONE }],
    [`*.${ZONE}`, { provider: "main", name: NAME, zone: ZONE }],
    [`a.sub.${ZONE}`, { provider: "sub", name: `_acme-challenge.a.sub.${ZONE}`, zone: ZONE }],
    [`shop.${ZONE}`, { provider: "acme", name: "shop.acme.test", zone: "acme.test" }],
    [`far.${ZONE}`, { provider: "acme", name: "far.acme.test", zone: "acme.test" }],
  ])("%s", async (name, place) => {
    expect(await dns().place(name)).toEqual(place);
  });

  it.each([
    [`round.${ZONE}`, "dns_delegation", "circle"],
    [`long.${ZONE}`, "dns_delegation", "more than 10"],
    [`out.${ZONE}`, "dns_provider_missing", "out.elsewhere.test, where the CNAME"],
    ["www.other.test", "dns_provider_missing", "_acme-challenge.www.other.test"],
  ])("%s is refused: %s", async (name, code, words) => {
    await expect(dns().place(name)).rejects.toMatchObject({
      code,
      disposition: "attention",
      message: expect.stringContaining(words),
    });
  });

  it("says who is asked in vain when no resolver answers", async () => {
    const port = await freePort();
    const lost = new Dns01({ providers: [], resolvers: [`127.0.0.1:${port}`], port, clock: systemClock });
    await expect(lost.place(ZONE)).rejects.toMatchObject({
      code: "resolver_failed",
      disposition: "unavailable",
      message: expect.stringContaining(`127.0.0.1:${port} refuses the connection`),
    });
  });

  it("asks every name server, and says which one is down", async () => {
    const it = dns();
    const answer = { ...(await it.place(`*.${ZONE}`)), value: "seen-by-all" };
    expect(await it.missing([answer])).toHaveLength(2);
    await it.present(answer);
    await waitUntil(async () => (await it.missing([answer])).length === 0, { what: "the secondary" });
    expect(await bind.txt(NAME, "secondary")).toEqual(["seen-by-all"]);
    await bind.stopSecondary();
    expect(await it.missing([answer])).toEqual([
      `ns2.${ZONE} (127.0.0.2:${bind.port}) refuses the connection.`,
    ]);
    await it.cleanUp(answer);
    await bind.startSecondary();
  });

  it("waits for a secondary that lags behind", async () => {
    const slow = await startBind({ zones: [{ name: ZONE }], lagging: true });
    try {
      const server = { address: "127.0.0.1", port: slow.port };
      const its = new Dns01({
        providers: [{ name: "slow", zones: [ZONE], servers: [], driver: provider({ server }) }],
        resolvers: [slow.primary],
        port: slow.port,
        clock: systemClock,
      });
      const answer = { ...(await its.place(ZONE)), value: "late" };
      await its.present(answer);
      expect(await its.missing([answer])).toEqual([
        `ns2.${ZONE} (127.0.0.2:${slow.port}) does not have the TXT of ${NAME} yet.`,
      ]);
      await waitUntil(async () => (await its.missing([answer])).length === 0, {
        what: "the secondary",
        timeoutMs: 15_000,
      });
    } finally {
      await slow.stop();
    }
  });
});

describe("a program", () => {
  const dir = tempDir("certherd-dns-exec");
  const script = (name: string, body: string): string => {
    const path = join(dir, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
    return path;
  };

  it("is told what to do by its arguments and its environment", async () => {
    const out = join(dir, "told");
    const hook = script(
      "hook",
      `echo "$* $CERTHERD_ACTION $CERTHERD_NAME $CERTHERD_VALUE $CERTHERD_ZONE" >> ${out}`,
    );
    const { present, cleanUp } = createExec({ command: [hook, "first"], timeout: 5_000 }, run);
    await present(at("a;b $HOME"));
    await cleanUp(at("a;b $HOME"));
    expect(readFileSync(out, "utf8")).toBe(
      `first present ${NAME}. a;b $HOME present ${NAME} a;b $HOME ${ZONE}\nfirst cleanup ${NAME}. a;b $HOME cleanup ${NAME} a;b $HOME ${ZONE}\n`,
    );
  });

  it("that fails, or takes too long, says so with its last words", async () => {
    const failing = createExec(
      { command: [script("fail", "echo no such zone >&2; exit 3")], timeout: 5_000 },
      run,
    );
    await expect(failing.present(at("x"))).rejects.toMatchObject({
      code: "dns_hook_failed",
      message: expect.stringMatching(/fail present for \S+ ended with exit code 3\. It said: no such zone/),
    });
    const pid = join(dir, "pid");
    const hanging = createExec(
      { command: [script("hang", `sleep 60 & echo $! > ${pid}; echo begun; wait`)], timeout: 500 },
      run,
    );
    await expect(hanging.present(at("x"))).rejects.toThrow(/within 0\.5 s and was killed\. It said: begun/);
    expect(() => process.kill(Number(readFileSync(pid, "utf8")), 0)).toThrow();
  });
});
