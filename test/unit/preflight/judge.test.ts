import { describe, expect, it } from "vitest";
import { Vips } from "../../../src/core/addresses.ts";
import type { Found } from "../../../src/preflight/found.ts";
import { judgeAddresses } from "../../../src/preflight/judge.ts";
import type { Outcome } from "../../../src/preflight/probe.ts";

const NAME = "example.com";
const came: Outcome = { came: true };
const refused: Outcome = { came: false, stage: "connect", why: "refuses the connection on port 80" };
const wrong: Outcome = { came: false, stage: "answer", why: "answers with status 404" };
const noRoute: Outcome = {
  came: false,
  stage: "local",
  why: "cannot be reached from this host (ENETUNREACH)",
};

const vip = (address: string, outcome: Outcome) => at("vip", address, outcome);
const elsewhere = (address: string, outcome: Outcome) => at("public", address, outcome);
const inside = (address: string) => at("private", address, undefined);
function at(kind: Found["kind"], address: string, outcome: Outcome | undefined): Found {
  return { kind, address, family: address.includes(":") ? 6 : 4, outcome };
}

function judge(found: Found[], { vips = [] as string[], passed = false } = {}) {
  return judgeAddresses(found, {
    name: NAME,
    vips: new Vips(vips),
    anyPassed: async () => passed,
    httpPort: 80,
    acmePort: 8080,
  });
}

describe("with VIPs configured", () => {
  const vips = ["203.0.113.7"];

  it("a name that leads its probe back is ready, be it at a VIP or behind a proxy", async () => {
    expect(await judge([vip("203.0.113.7", came)], { vips })).toEqual({ kind: "ready" });
    expect(await judge([elsewhere("104.16.0.1", came)], { vips })).toEqual({ kind: "ready" });
  });

  it("a name that points elsewhere waits for the customer, who is told the VIP", async () => {
    for (const outcome of [refused, wrong, noRoute]) {
      const verdict = await judge([elsewhere("104.16.0.1", outcome)], { vips });
      expect(verdict).toEqual({
        kind: "customer",
        detail: "example.com A 203.0.113.7 is to be set; today it is 104.16.0.1.",
        records: [
          {
            name: NAME,
            type: "A",
            set: "203.0.113.7",
            today: "104.16.0.1",
            why: `104.16.0.1 ${"why" in outcome ? outcome.why : ""}`,
          },
        ],
      });
    }
  });

  it("a name without an address waits for the customer", async () => {
    expect(await judge([], { vips })).toMatchObject({
      kind: "customer",
      detail: "example.com A 203.0.113.7 is to be set; today there is none.",
    });
    expect(await judge([], { vips: ["2001:db8::1"] })).toMatchObject({
      detail: "example.com AAAA 2001:db8::1 is to be set; today there is none.",
    });
  });

  it("several VIPs are told of with or", async () => {
    expect(await judge([inside("10.0.0.1")], { vips: ["203.0.113.7", "203.0.113.8"] })).toMatchObject({
      detail: "example.com A 203.0.113.7 or 203.0.113.8 is to be set; today it is 10.0.0.1.",
    });
  });

  it("an AAAA that points elsewhere is to be removed, or set to the VIP of its family", async () => {
    const found = [vip("203.0.113.7", came), elsewhere("2a00::1", wrong)];
    expect(await judge(found, { vips })).toMatchObject({
      kind: "customer",
      detail: "example.com AAAA is to be removed; today it is 2a00::1.",
      records: [{ type: "AAAA", set: undefined, today: "2a00::1" }],
    });
    expect(await judge(found, { vips: [...vips, "2001:db8::1"] })).toMatchObject({
      detail: "example.com AAAA 2001:db8::1 is to be set; today it is 2a00::1.",
    });
  });

  it("a name with nothing but a wrong AAAA gets an A too", async () => {
    expect(await judge([elsewhere("2a00::1", refused)], { vips })).toMatchObject({
      records: [
        { type: "A", set: "203.0.113.7", today: "none" },
        { type: "AAAA", set: undefined },
      ],
    });
  });

  it("a VIP that does not lead to this host is not the customer's fault", async () => {
    expect(await judge([vip("203.0.113.7", refused)], { vips, passed: true })).toEqual({
      kind: "node",
      code: "vip_unreachable",
      detail:
        "Port 80 of VIP 203.0.113.7 does not lead /.well-known/acme-challenge/ to this host's ACMEPort 8080: it refuses the connection on port 80. Mend the load balancer, let the firewall lead this host to its own VIP (hairpin NAT), or set CERTHERD_PREFLIGHT=warn; the DNS of example.com is right.",
    });
    expect(await judge([vip("203.0.113.7", wrong)], { vips })).toMatchObject({
      kind: "node",
      code: "vip_wrong_backend",
    });
  });

  it("an AAAA that nobody answers at is passed over while IPv4 leads back, and judged otherwise", async () => {
    const v4 = vip("203.0.113.7", came);
    expect(await judge([v4, elsewhere("2a00::1", refused)], { vips })).toEqual({ kind: "ready" });
    expect(await judge([v4, vip("2001:db8::1", noRoute)], { vips: [...vips, "2001:db8::1"] })).toEqual({
      kind: "ready",
    });
    expect(await judge([vip("203.0.113.7", wrong), elsewhere("2a00::1", refused)], { vips })).toMatchObject({
      kind: "node",
    });
  });

  it("an AAAA past the VIP that this host has no IPv6 to ask is the customer's to mend, a proxy's is not", async () => {
    expect(await judge([vip("203.0.113.7", came), elsewhere("2a00::1", noRoute)], { vips })).toMatchObject({
      kind: "customer",
      records: [{ type: "AAAA" }],
    });
    expect(await judge([elsewhere("104.16.0.1", came), elsewhere("2a00::1", noRoute)], { vips })).toEqual({
      kind: "ready",
    });
  });
});

describe("without VIPs", () => {
  it("the customer is told of the load balancer's address, and why today's will not do", async () => {
    expect(await judge([elsewhere("104.16.0.1", wrong)], { passed: true })).toMatchObject({
      kind: "customer",
      detail:
        "example.com must point to the load balancer's address; today its A is 104.16.0.1: 104.16.0.1 answers with status 404.",
      records: [{ set: "the load balancer's address" }],
    });
    expect(await judge([])).toMatchObject({
      detail: "example.com must point to the load balancer's address; today there is none.",
    });
    expect(await judge([inside("10.0.0.1")])).toMatchObject({ kind: "customer" });
    expect(await judge([elsewhere("104.16.0.1", came), inside("fd00::1")])).toMatchObject({
      detail:
        "example.com must point to the load balancer's address, or its AAAA is to be removed; today its AAAA is fd00::1: fd00::1 is not a public address.",
    });
  });

  it("nobody is blamed while no probe has ever come back", async () => {
    expect(await judge([elsewhere("104.16.0.1", refused)])).toMatchObject({
      kind: "node",
      code: "hairpin",
      detail: expect.stringMatching(/hairpin NAT\?\).*CERTHERD_PREFLIGHT=warn.*vips.*firewall/),
    });
    expect(await judge([elsewhere("104.16.0.1", wrong)])).toMatchObject({
      kind: "node",
      code: "no_probe_came_back",
    });
    expect(await judge([elsewhere("104.16.0.1", refused)], { passed: true })).toMatchObject({
      kind: "customer",
    });
  });

  it("a host without a route to the address blames itself", async () => {
    expect(await judge([elsewhere("2a00::1", noRoute)], { passed: true })).toMatchObject({
      kind: "node",
      code: "no_route",
    });
  });
});

it("a redirect to a name that the resolver does not answer for is the resolver's fault", async () => {
  const outcome: Outcome = { came: false, stage: "resolver", why: "The resolver 192.0.2.53 did not answer." };
  expect(await judge([elsewhere("104.16.0.1", outcome)], { vips: ["203.0.113.7"] })).toEqual({
    kind: "node",
    code: "resolver_failed",
    detail: outcome.why,
  });
});
