/** The account at a CA, with a real Pebble: registered once, found again, kept to this user. */
import { createPrivateKey } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { type CaSettings, openAccount } from "../../src/acme/account.ts";
import { openEndpoint } from "../../src/acme/transport.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { AccountFiles } from "../../src/store/accounts.ts";
import { type Pebble, type PebbleOptions, startPebble } from "../support/pebble.ts";
import { startProcess } from "../support/process.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";

const OPENER = fileURLToPath(new URL("../support/account-opener.ts", import.meta.url));
const MAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
const NOW = Date.UTC(2026, 7, 28, 14, 0, 0);

const stops: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

interface House {
  pebble: Pebble;
  home: string;
  files: AccountFiles;
  ca: CaSettings;
  /** Opens the account; other settings of the CA may be given. */
  open(more?: Partial<CaSettings>): ReturnType<typeof openAccount>;
}

async function house(options: Partial<PebbleOptions> = {}): Promise<House> {
  // Requests are counted here: none is to be repeated for its nonce.
  const env = { PEBBLE_WFE_NONCEREJECT: "0" };
  const pebble = await startPebble({ httpPort: await freePort(), env, ...options });
  stops.push(() => pebble.stop());
  const root = readFileSync(pebble.rootPath, "utf8");
  stops.push(openEndpoint({ directory: pebble.directoryUrl, root, userAgent: "certherd-test" }));
  const home = tempDir("certherd-account");
  const files = new AccountFiles(home);
  const ca = { name: "pebble", directory: pebble.directoryUrl, root };
  const open = (more: Partial<CaSettings> = {}) =>
    openAccount({ ...ca, ...more }, files, () => generateKey("ec256"), NOW);
  return { pebble, home, files, ca, open };
}

describe("an account", () => {
  it("is registered once, with a P-256 key that only this user may read, and then used", async () => {
    const { pebble, files, open } = await house();
    const first = await open({ email: "ops@example.com" });
    await first.newOrder(["a.example"]);
    expect(await files.load("pebble")).toEqual({
      directory: pebble.directoryUrl,
      url: expect.stringContaining("/my-account/"),
      contact: ["mailto:ops@example.com"],
      registeredAt: "2026-08-28T14:00:00.000Z",
      terms: { url: expect.stringMatching(/^data:text/), agreedAt: "2026-08-28T14:00:00.000Z" },
    });
    const path = files.keyPath("pebble");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(createPrivateKey(readFileSync(path)).asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
    const again = await open({ email: "ops@example.com" });
    await again.newOrder(["b.example"]);
    await waitUntil(() => pebble.requests().newOrder === 2);
    expect(pebble.requests().newAccount).toBe(1);
    expect(pebble.requests().account).toBeUndefined();
  });

  it("whose file is gone is found again by its key", async () => {
    const { pebble, files, open } = await house();
    await open();
    const before = await files.load("pebble");
    await files.forget("pebble");
    await (await open()).newOrder(["a.example"]);
    expect((await files.load("pebble"))?.url).toBe(before?.url);
    await waitUntil(() => pebble.requests().newAccount === 2);
  });

  it("is told of another mail address, and keeps its URL and key", async () => {
    const { pebble, files, open } = await house();
    await open({ email: "old@example.com" });
    // An earlier version did not note the terms: another contact is no reason to think that they were agreed to.
    const { terms: _, ...before } = (await files.load("pebble")) ?? expect.fail();
    await files.save("pebble", { ...before, registeredAt: "2025-01-01T00:00:00.000Z" });
    const key = readFileSync(files.keyPath("pebble"), "utf8");
    await (await open({ email: "new@example.com" })).newOrder(["a.example"]);
    expect(await files.load("pebble")).toEqual({
      directory: pebble.directoryUrl,
      url: before.url,
      contact: ["mailto:new@example.com"],
      registeredAt: "2025-01-01T00:00:00.000Z",
    });
    expect(readFileSync(files.keyPath("pebble"), "utf8")).toBe(key);
    await waitUntil(() => pebble.requests().account === 1);
    expect(pebble.requests().newAccount).toBe(1);
    await open({ email: "new@example.com" });
    expect(pebble.requests().account).toBe(1);
  });

  it("is registered anew, with the same key, where the CA's directory has moved", async () => {
    const old = await house();
    await old.open();
    const key = readFileSync(old.files.keyPath("pebble"), "utf8");
    const moved = await house();
    const session = await openAccount(
      moved.ca,
      old.files,
      () => Promise.reject(new Error("There is a key.")),
      NOW,
    );
    await session.newOrder(["a.example"]);
    expect((await old.files.load("pebble"))?.directory).toBe(moved.pebble.directoryUrl);
    expect(readFileSync(old.files.keyPath("pebble"), "utf8")).toBe(key);
  });

  it("that the CA does not know is the whole account's fault", async () => {
    const { files, open } = await house();
    await open();
    const known = await files.load("pebble");
    if (known) await files.save("pebble", { ...known, url: `${known.url}0` });
    await expect((await open()).newOrder(["a.example"])).rejects.toMatchObject({ disposition: "account" });
  });

  it("opened by two processes at once is one, with one key", async () => {
    const { pebble, home, files } = await house();
    const args = ["--import", "tsx", OPENER, pebble.directoryUrl, pebble.rootPath, home];
    const openers = Array.from({ length: 2 }, () =>
      startProcess(process.execPath, args, { cwd: process.cwd() }),
    );
    stops.push(() => Promise.all(openers.map((opener) => opener.kill9())));
    expect(await Promise.all(openers.map(({ exited }) => exited))).toEqual(["exit code 0", "exit code 0"]);
    const urls = openers.map((opener) => opener.lines().at(-1));
    expect(urls).toEqual([expect.stringContaining("/my-account/"), urls[0]]);
    expect((await files.load("pebble"))?.url).toBe(urls[0]);
  });

  it("opened by many at once in one process is one", async () => {
    const { files, open } = await house();
    const sessions = await Promise.all(Array.from({ length: 5 }, () => open()));
    expect(new Set(sessions.map((session) => session.keyAuthorization("t"))).size).toBe(1);
    await sessions[4]?.newOrder(["a.example"]);
    expect((await files.load("pebble"))?.url).toContain("/my-account/");
  });
});

describe("a CA that wants external account binding", () => {
  const eab = { "key-1": MAC };

  it("gets it", async () => {
    const { files, open } = await house({ eab });
    const session = await open({ eab: { kid: "key-1", hmacKey: MAC } });
    await session.newOrder(["a.example"]);
    expect(await files.load("pebble")).toMatchObject({ eabKid: "key-1" });
  });

  it("is told of in one sentence that names the settings where there is none", async () => {
    const { files, open } = await house({ eab });
    await expect(open()).rejects.toMatchObject({
      code: "external_account_required",
      disposition: "account",
      message: expect.stringMatching(/^pebble wants .*: set CERTHERD_EAB_KID and CERTHERD_EAB_HMAC/),
    });
    expect(await files.load("pebble")).toBeUndefined();
  });

  it.each([
    ["key id", { kid: "key-2", hmacKey: MAC }],
    ["key", { kid: "key-1", hmacKey: "c2VjcmV0" }],
  ])("refuses a wrong %s, which stops the account and not the process", async (_, wrong) => {
    const { files, open } = await house({ eab });
    await expect(open({ eab: wrong })).rejects.toMatchObject({
      disposition: "account",
      message: expect.stringMatching(/^No account could be registered at pebble: /),
    });
    expect(await files.load("pebble")).toBeUndefined();
    await (await open({ eab: { kid: "key-1", hmacKey: MAC } })).newOrder(["a.example"]);
  });
});

it("a CA that is out of reach stops nothing for good", async () => {
  const directory = `https://127.0.0.1:${await freePort()}/dir`;
  stops.push(openEndpoint({ directory, userAgent: "certherd-test" }));
  const files = new AccountFiles(tempDir("certherd-account"));
  const opening = openAccount({ name: "gone", directory }, files, () => generateKey("ec256"), NOW);
  await expect(opening).rejects.toMatchObject({ code: "ca_unreachable", disposition: "transient" });
});
