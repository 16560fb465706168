/** What the CA with limits learns from the answers that pass through it. */
import { beforeEach, describe, expect, it } from "vitest";
import { acmeKind } from "../../support/acme-kinds.ts";
import { AcmeWatch } from "../../support/acme-watch.ts";

const CA = "https://ca.example";
const ORDER = "/my-order/1";
const FINALIZE = "/finalize-order/1";
const AUTHZ = "/authZ/1";
const CHALLENGE = "/chalZ/1";

let told: string[];
let watch: AcmeWatch;

beforeEach(() => {
  told = [];
  watch = new AcmeWatch({
    issued: (names) => told.push(`issued ${names.join(",")}`),
    failed: (account, name) => told.push(`failed ${account} ${name}`),
    succeeded: (account, name) => told.push(`succeeded ${account} ${name}`),
    validation: (name) => told.push(`validation ${name}`),
  });
});

/** A request of account "one", and its answer. */
function see(path: string, payload: unknown, answer: unknown, { status = 200, location = "" } = {}): void {
  const exchange = {
    kind: acmeKind(path),
    method: "POST",
    url: `${CA}${path}`,
    body: Buffer.alloc(0),
    jws: { kid: "one", payload },
    nonce: async () => "",
  };
  const rawHeaders = location === "" ? [] : ["Location", `${CA}${location}`];
  watch.see(exchange, { status, rawHeaders, body: Buffer.from(JSON.stringify(answer)) });
}

function order(...names: string[]): void {
  const identifiers = names.map((value) => ({ type: "dns", value }));
  see("/order-plz", { identifiers }, { finalize: `${CA}${FINALIZE}` }, { status: 201, location: ORDER });
}

const authorization = (status: string, more = {}) => ({
  identifier: { type: "dns", value: "a.example" },
  status,
  challenges: [{ type: "http-01", url: `${CA}${CHALLENGE}` }],
  ...more,
});

describe("an order", () => {
  it("is issued once, at the first answer that says so, though the client never asks for the end", () => {
    order("a.example", "b.example");
    see(ORDER, "", { status: "pending" });
    expect(told).toEqual([]);
    see(FINALIZE, { csr: "" }, { status: "processing" });
    see(ORDER, "", { status: "valid" });
    see(ORDER, "", { status: "valid" });
    expect(told).toEqual([
      "succeeded one a.example",
      "succeeded one b.example",
      "issued a.example,b.example",
    ]);
  });

  it("that is ready has validated all its names, whether or not they were looked at", () => {
    order("a.example");
    see(ORDER, "", { status: "ready" });
    see(ORDER, "", { status: "ready" });
    expect(told).toEqual(["succeeded one a.example"]);
  });

  it("that is refused, or not known, or no JSON, tells nothing", () => {
    see("/order-plz", { identifiers: [] }, {}, { status: 400, location: ORDER });
    see(ORDER, "", { status: "valid" });
    order("a.example");
    see(FINALIZE, { csr: "" }, { status: "processing" }, { status: 403 });
    see(ORDER, "", "valid");
    expect(told).toEqual([]);
  });
});

describe("an authorization", () => {
  it("fails once, whether its own answers show it or those of its challenge", () => {
    see(AUTHZ, "", authorization("pending"));
    see(CHALLENGE, {}, { status: "invalid" });
    see(AUTHZ, "", authorization("invalid"));
    expect(told).toEqual(["validation a.example", "failed one a.example"]);
  });

  it("succeeds once, and is no failure when it is given up later", () => {
    see(AUTHZ, "", authorization("valid"));
    see(AUTHZ, "", authorization("valid"));
    see(AUTHZ, { status: "deactivated" }, authorization("deactivated"));
    expect(told).toEqual(["succeeded one a.example"]);
  });

  it("is validated once, however often its challenge is asked for", () => {
    see(AUTHZ, "", authorization("pending", { wildcard: true }));
    see(CHALLENGE, "", { status: "pending" });
    see(CHALLENGE, {}, { status: "malformed" }, { status: 400 });
    expect(told).toEqual([]);
    see(CHALLENGE, {}, { status: "processing" });
    see(CHALLENGE, {}, { status: "processing" });
    expect(told).toEqual(["validation *.a.example"]);
  });
});
