import { describe, expect, it } from "vitest";
import type { NodeState } from "../../../src/core/certificate.ts";
import { nextStep, strays, whatNodesServe } from "../../../src/deploy/rollout.ts";
import { makeSpec } from "../../support/specs.ts";

const NODES = [{ name: "canary" }, { name: "lb1" }, { name: "lb2" }];
const LEAF = { notBefore: 0, notAfter: 1, issuer: "CA", serial: "0B", renewAt: 1 };
const DONE: NodeState = { ok: true, serial: "0B", at: 1, vipPort: 443 };
const OLD: NodeState = { ok: true, serial: "0A", at: 1, vipPort: 443 };

function step(nodes: Record<string, NodeState>, down: readonly string[] = []) {
  const record = { spec: makeSpec("a.example"), leaf: LEAF, nodes };
  return nextStep(NODES, record, (node) => (down.includes(node) ? `${node} is down` : undefined));
}

describe("the next step of a roll-out", () => {
  it("is the first node, then the others one by one, then the end", () => {
    expect(step({})).toEqual({ kind: "go", node: "canary", owed: [] });
    expect(step({ canary: DONE, lb1: OLD })).toEqual({ kind: "go", node: "lb1", owed: [] });
    expect(step({ canary: DONE, lb1: DONE, lb2: OLD })).toEqual({ kind: "go", node: "lb2", owed: [] });
    expect(step({ canary: DONE, lb1: DONE, lb2: DONE })).toEqual({ kind: "served" });
  });

  it("goes past a node that cannot be reached, and owes it", () => {
    const owed = [{ node: "lb1", why: "lb1 is down" }];
    expect(step({ canary: DONE }, ["lb1"])).toEqual({ kind: "go", node: "lb2", owed });
    expect(step({ canary: DONE, lb2: DONE }, ["lb1"])).toEqual({ kind: "waiting", owed });
  });

  it("waits for the first node, whatever the others could take", () => {
    expect(step({}, ["canary"])).toEqual({
      kind: "waiting",
      owed: [{ node: "canary", why: "canary is down" }],
    });
  });

  it("goes past the first node, too, where the others are not to wait for it", () => {
    const record = { spec: makeSpec("a.example"), leaf: LEAF, nodes: {} };
    const pair = [{ name: "lb1", waitFor: false }, { name: "lb2" }];
    const unavailable = (node: string) => (node === "lb1" ? "lb1 is down" : undefined);
    expect(nextStep(pair, record, unavailable)).toEqual({
      kind: "go",
      node: "lb2",
      owed: [{ node: "lb1", why: "lb1 is down" }],
    });
  });

  it("stops at a node that did not serve this leaf, and goes on with the next leaf", () => {
    expect(step({ canary: DONE, lb1: { ...OLD, ok: false, refused: "0B" } })).toEqual({
      kind: "stopped",
      node: "lb1",
    });
    expect(step({ canary: DONE, lb1: { ...OLD, ok: false, refused: "0A" } })).toMatchObject({
      kind: "go",
      node: "lb1",
    });
  });

  it("goes to no node while any of them has refused this leaf, wherever it stands", () => {
    const refused = { ...OLD, ok: false, refused: "0B" };
    expect(step({ canary: DONE, lb1: OLD, lb2: refused })).toEqual({ kind: "stopped", node: "lb2" });
    expect(step({ canary: DONE, lb1: OLD, lb2: refused }, ["lb1"])).toMatchObject({ kind: "stopped" });
    // One that is configured no more has no say.
    expect(step({ canary: DONE, lb1: OLD, gone: refused })).toMatchObject({ kind: "go", node: "lb1" });
  });

  it("goes back to a node that was seen to serve something else, and to one of another port", () => {
    expect(step({ canary: { ...DONE, ok: false }, lb1: DONE, lb2: DONE })).toMatchObject({ node: "canary" });
    expect(step({ canary: { ...DONE, vipPort: 8443 }, lb1: DONE, lb2: DONE })).toMatchObject({
      node: "canary",
    });
  });

  it("ends at once where there are no nodes", () => {
    expect(nextStep([], { spec: makeSpec("a.example"), leaf: LEAF }, () => undefined)).toEqual({
      kind: "served",
    });
  });
});

describe("where a certificate does not belong any more", () => {
  it("is on nodes that were taken out, and under a port that was changed", () => {
    const nodes = { canary: DONE, old: DONE, lb1: { ...DONE, vipPort: 8443 } };
    expect(strays({ spec: makeSpec("a.example"), nodes }, NODES)).toEqual([
      { node: "old", vipPort: 443 },
      { node: "lb1", vipPort: 8443 },
    ]);
  });
});

describe("what nodes serve, in words", () => {
  it("tells serials, nothing, and what was not seen", () => {
    const unseen: NodeState = { ok: false, at: 1, vipPort: 443 };
    expect(whatNodesServe({ canary: DONE, lb1: { ...DONE, serial: "" }, lb2: unseen })).toBe(
      "canary serves 0B, lb1 serves nothing under that name, lb2 was not seen.",
    );
    expect(whatNodesServe(undefined)).toBe("");
  });
});
