import { afterEach, describe, expect, it } from "vitest";
import { checkNames } from "../../../src/preflight/check.ts";
import { createPreflight, type PreflightOptions } from "../../../src/preflight/preflight.ts";
import type { Probe } from "../../../src/preflight/probe.ts";
import { type Dns, ResolverFailure } from "../../../src/preflight/resolver.ts";

const REQUEST = { names: ["example.com"], acmePort: 8080, method: "http-01", identities: [] } as const;

const silent: Dns = { a: async () => [], aaaa: async () => [], caa: async () => [], close: () => undefined };
const fails = async (): Promise<never> => {
  throw new ResolverFailure("192.0.2.53", "example.com", "AAAA", "SERVFAIL");
};
const comes: Probe = async () => ({ came: true });

const closings: (() => void)[] = [];
afterEach(() => {
  for (const close of closings.splice(0)) close();
});

function build(options: Partial<PreflightOptions>) {
  const preflight = createPreflight({
    store: { put: async () => undefined, drop: async () => undefined },
    history: { passed: async () => undefined, anyPassed: async () => true },
    clock: { now: () => 0 },
    ...options,
  });
  closings.push(() => preflight.close());
  return preflight;
}

describe("the addresses of a name", () => {
  it("are asked up to four of each family, with one token, and all of them are told", async () => {
    const asked: string[] = [];
    const tokens = new Set<string>();
    const dns: Dns = {
      ...silent,
      a: async () => [1, 2, 3, 4, 5, 6].map((last) => `104.16.0.${last}`),
      aaaa: async () => [1, 2, 3, 4, 5, 6].map((last) => `2a00::${last}`),
    };
    const probe: Probe = async ({ address, token }) => {
      asked.push(address);
      tokens.add(token);
      return { came: false, stage: "answer", why: "answers with status 404" };
    };
    const verdict = await checkNames(build({ dns, probe }), REQUEST);
    expect(asked).toHaveLength(8);
    expect(tokens.size).toBe(1);
    expect(verdict).toMatchObject({ records: [{ today: expect.stringContaining("104.16.0.6") }, {}] });
  });

  it("are ready when those that were asked lead the probe back", async () => {
    const dns: Dns = { ...silent, a: async () => [1, 2, 3, 4, 5].map((last) => `104.16.0.${last}`) };
    expect(await checkNames(build({ dns, probe: comes }), REQUEST)).toEqual({ kind: "ready" });
  });

  it("do without AAAA where the resolver does not answer for that alone, as CAs do", async () => {
    const dns: Dns = { ...silent, aaaa: fails };
    expect(await checkNames(build({ dns, probe: comes }), REQUEST)).toMatchObject({
      kind: "node",
      code: "resolver_failed",
    });
    const withA: Dns = { ...dns, a: async () => ["104.16.0.1"] };
    expect(await checkNames(build({ dns: withA, probe: comes }), REQUEST)).toEqual({ kind: "ready" });
  });
});

it("no more names are under check at once than allowed, over all certificates", async () => {
  let running = 0;
  let most = 0;
  const probe: Probe = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    return { came: true };
  };
  const preflight = build({ dns: { ...silent, a: async () => ["104.16.0.1"] }, probe, concurrency: 3 });
  const names = Array.from({ length: 10 }, (_, index) => `n${index}.example.com`);
  const request = { ...REQUEST, names };
  expect(await Promise.all([checkNames(preflight, request), checkNames(preflight, request)])).toEqual([
    { kind: "ready" },
    { kind: "ready" },
  ]);
  expect(most).toBe(3);
});

it("a store that fails is no verdict on a name", async () => {
  const store = {
    put: async () => {
      throw new Error("Redis is gone");
    },
    drop: async () => undefined,
  };
  const preflight = build({ dns: { ...silent, a: async () => ["104.16.0.1"] }, probe: comes, store });
  await expect(checkNames(preflight, REQUEST)).rejects.toThrow("Redis is gone");
});
