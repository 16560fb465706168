/** How a CA is spoken to, with a real Pebble. */
import { readFileSync } from "node:fs";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { openAccount } from "../../src/acme/account.ts";
import { AcmeClientSession } from "../../src/acme/session.ts";
import { openEndpoint } from "../../src/acme/transport.ts";
import type { AppError } from "../../src/core/errors.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { AccountFiles } from "../../src/store/accounts.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";

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

/** Opens the way to a CA; every request is noted as it is paced. */
function open(directory: string, root?: string): string[] {
  const paced: string[] = [];
  const pace = async (url: string, method: string): Promise<void> => {
    paced.push(`${method} ${new URL(url).pathname}`);
  };
  stops.push(openEndpoint({ directory, userAgent: "certherd-test", pace, ...(root ? { root } : {}) }));
  return paced;
}

async function failure(promise: Promise<unknown>): Promise<AppError> {
  return await promise.then(
    () => Promise.reject(new Error("It did not fail.")),
    (error: AppError) => error,
  );
}

describe("with Pebble", () => {
  async function session(options: { env?: Record<string, string>; blocklist?: string[] }) {
    const pebble: Pebble = keep(await startPebble({ httpPort: await freePort(), ...options }));
    const root = readFileSync(pebble.rootPath, "utf8");
    const paced = open(pebble.directoryUrl, root);
    const ca = { name: "pebble", directory: pebble.directoryUrl, root };
    const keeper = new AccountFiles(tempDir("certherd-account"));
    return { pebble, paced, acme: await openAccount(ca, keeper, async () => key, Date.now()) };
  }

  it("nonces come from earlier answers: two dozen orders need a few HEADs", async () => {
    const { pebble, paced, acme } = await session({ env: { PEBBLE_WFE_NONCEREJECT: "0" } });
    for (let i = 0; i < 12; i++) {
      const order = await acme.newOrder([`name-${i}.example`]);
      expect(await acme.getOrder(order.url)).toMatchObject({ url: order.url, status: "pending" });
    }
    await Promise.all(Array.from({ length: 12 }, (_, i) => acme.newOrder([`more-${i}.example`])));
    await waitUntil(() => pebble.requests().newOrder === 24);
    expect(pebble.requests().newNonce).toBeLessThanOrEqual(12);
    // Each request is paced, and what the pool answers is none.
    const heads = paced.filter((line) => line.startsWith("HEAD"));
    expect(heads).toHaveLength(pebble.requests().newNonce ?? 0);
    expect(paced.filter((line) => line === "POST /order-plz")).toHaveLength(24);
  });

  it("orders get through though every other nonce is refused", async () => {
    const { acme } = await session({ env: { PEBBLE_WFE_NONCEREJECT: "50" } });
    for (let i = 0; i < 8; i++) {
      // Six refusals in a row are the library's limit; then the job comes back.
      const order = await waitUntil(async () => {
        const made = await acme.newOrder([`name-${i}.example`]).catch((error: AppError) => error);
        if (made instanceof Error) expect(made).toMatchObject({ disposition: "transient" });
        return made instanceof Error ? undefined : made;
      });
      expect(order?.status).toBe("pending");
    }
  });

  it("an order shows its names' challenges, and when to look again", async () => {
    const { acme } = await session({});
    const order = await acme.newOrder(["a.example", "b.example"]);
    expect(order.authorizations).toHaveLength(2);
    const found = await Promise.all(order.authorizations.map((url) => acme.authorization(url)));
    expect(found.map(({ name }) => name).sort()).toEqual(["a.example", "b.example"]);
    const challenge = found[0]?.challenges.find(({ type }) => type === "http-01");
    expect(challenge).toMatchObject({ status: "pending", token: expect.stringMatching(/^[\w-]{22,}$/) });
    expect(acme.keyAuthorization("token")).toMatch(/^token\.[\w-]{43}$/);
  });

  it("a name that the CA does not take is told by name", async () => {
    const { acme } = await session({ blocklist: ["blocked.example"] });
    const error = await failure(acme.newOrder(["fine.example", "www.blocked.example"]));
    expect(error).toMatchObject({
      code: "rejected_identifier",
      disposition: "attention",
      type: "urn:ietf:params:acme:error:rejectedIdentifier",
    });
    expect(`${error.identifier} ${error.message}`).toContain("blocked.example");
  });

  it("a request that makes no sense is a person's to mend", async () => {
    const { acme } = await session({});
    expect(await failure(acme.newOrder(["no_name.example"]))).toMatchObject({
      code: "malformed",
      disposition: "attention",
    });
  });

  it("a CA that is not trusted, or has gone, is out of reach and nothing worse", async () => {
    const pebble = keep(await startPebble({ httpPort: await freePort() }));
    open(pebble.directoryUrl);
    const acme = new AcmeClientSession({ directory: pebble.directoryUrl, keyPem: key, url: "https://x/1" });
    const error = await failure(acme.newOrder(["a.example"]));
    expect(error).toMatchObject({ code: "ca_unreachable", disposition: "transient" });
    expect(error.message).toMatch(/certificate/);
    await pebble.stop();
    expect((await failure(acme.newOrder(["a.example"]))).message).toMatch(/ECONNREFUSED/);
  });
});
