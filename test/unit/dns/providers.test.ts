import { expect, it } from "vitest";
import { followCname } from "../../../src/dns/delegation.ts";
import { providerFor } from "../../../src/dns/dns01.ts";
import { parseServer } from "../../../src/dns/lookup.ts";

const PROVIDERS = [
  { name: "all", zones: ["example.com", "example.net"] },
  { name: "sub", zones: ["sub.example.com"] },
];

it.each([
  ["example.com", "all"],
  ["_acme-challenge.www.example.com", "all"],
  ["_acme-challenge.sub.example.com", "sub"],
  ["a.sub.example.com", "sub"],
  ["notsub.example.com", "all"],
  ["notexample.com", undefined],
  ["com", undefined],
])("%s is for the provider %s", (name, wanted) => {
  expect(providerFor(PROVIDERS, name)?.name).toBe(wanted);
});

it("CNAMEs are followed to their end, ten at the most", async () => {
  const chain = (length: number) => ({
    cname: async (name: string) => {
      const at = Number(name.slice(1));
      return at < length ? `n${at + 1}` : undefined;
    },
  });
  expect(await followCname("n0", chain(0))).toBe("n0");
  expect(await followCname("n0", chain(10))).toBe("n10");
  await expect(followCname("n0", chain(11))).rejects.toMatchObject({ code: "dns_delegation" });
  await expect(followCname("n0", { cname: async () => "n0" })).rejects.toThrow(/circle \(n0 → n0\)/);
});

it.each([
  ["192.0.2.1", { address: "192.0.2.1", port: 53 }],
  ["192.0.2.1:5353", { address: "192.0.2.1", port: 5353 }],
  ["2001:db8::1", { address: "2001:db8::1", port: 53 }],
  ["[2001:db8::1]:5353", { address: "2001:db8::1", port: 5353 }],
])("the server %s", (text, server) => expect(parseServer(text)).toEqual(server));
