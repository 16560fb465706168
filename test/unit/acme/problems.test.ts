import { describe, expect, it } from "vitest";
import { isProblem, type Problem, problemError, shortType } from "../../../src/acme/problems.ts";
import { retryAfterOf } from "../../../src/acme/transport.ts";
import type { Disposition } from "../../../src/core/errors.ts";
import { pausedAnswer } from "../../support/boulder-answers.ts";

const NOW = Date.UTC(2026, 7, 28, 14, 0, 0);
const acme = (type: string): string => `urn:ietf:params:acme:error:${type}`;
const problem = (type: string, more: Partial<Problem> = {}): Problem => ({
  type: acme(type),
  detail: "the CA's words",
  ...more,
});

describe("what an ACME error asks for", () => {
  /** Type, HTTP status (0: in a challenge or an order), what is to be done, our code. */
  const table: readonly [string, number, Disposition, string][] = [
    ["badNonce", 400, "transient", "bad_nonce"],
    ["serverInternal", 500, "transient", "server_internal"],
    ["orderNotReady", 403, "transient", "order_not_ready"],
    ["connection", 0, "retry", "connection"],
    ["dns", 0, "retry", "dns"],
    ["tls", 0, "retry", "tls"],
    ["unauthorized", 0, "retry", "unauthorized"],
    ["incorrectResponse", 0, "retry", "incorrect_response"],
    ["caa", 0, "retry", "caa"],
    ["caa", 403, "retry", "caa"],
    ["rejectedIdentifier", 400, "attention", "rejected_identifier"],
    ["unsupportedIdentifier", 400, "attention", "unsupported_identifier"],
    ["badCSR", 400, "attention", "bad_csr"],
    ["badPublicKey", 400, "attention", "bad_public_key"],
    ["malformed", 400, "attention", "malformed"],
    ["invalidProfile", 400, "attention", "invalid_profile"],
    ["accountDoesNotExist", 400, "account", "account_does_not_exist"],
    ["userActionRequired", 403, "account", "user_action_required"],
    ["externalAccountRequired", 403, "account", "external_account_required"],
    // Of a request it is the account that may not, of a challenge the name's owner who did not answer.
    ["unauthorized", 403, "account", "unauthorized"],
    ["neverHeardOf", 400, "attention", "never_heard_of"],
    ["neverHeardOf", 500, "transient", "never_heard_of"],
    ["neverHeardOf", 0, "retry", "never_heard_of"],
  ];

  it.each(table)("%s with status %d: %s", (type, status, disposition, code) => {
    const error = problemError(problem(type), status);
    expect(error).toMatchObject({ disposition, code, type: acme(type), message: "the CA's words" });
  });
});

describe("a limit of the CA", () => {
  it.each([
    ["rateLimited", 429],
    ["neverHeardOf", 429],
  ])("%s with status %d and Retry-After ends then", (type, status) => {
    const error = problemError(problem(type), status, NOW);
    expect(error).toMatchObject({ disposition: "limit", retryAt: NOW });
  });

  it.each(["rateLimited", "serverInternal", "neverHeardOf"])(
    "%s with status 503 and Retry-After is of requests a second: the same one is made again then",
    (type) => {
      const error = problemError(problem(type), 503, NOW);
      expect(error).toMatchObject({ disposition: "transient", code: "busy", retryAt: NOW });
    },
  );

  it("that has paused account and name (429 without Retry-After) is a person's to end, at the URL in the detail", () => {
    const { body } = pausedAnswer("1", "a.example", "nonce");
    const paused = JSON.parse(body.toString()) as Problem;
    const error = problemError(paused, 429);
    expect(error).toMatchObject({
      disposition: "attention",
      code: "paused_by_ca",
      message: paused.detail,
      url: expect.stringMatching(/^https:\/\/portal\.ca\.example\/sfe\/v1\/unpause\?jwt=[\w.-]+$/),
    });
    expect(error.retryAt).toBeUndefined();
    expect(paused.detail.endsWith(error.url ?? "none")).toBe(true);
  });

  it("that says neither for how long nor where to end it is no pause: it may be of half a second", () => {
    const error = problemError(problem("rateLimited"), 429);
    expect(error).toMatchObject({ disposition: "limit", code: "rate_limited" });
    expect(error.retryAt).toBeUndefined();
  });
});

describe("an answer that is no ACME error", () => {
  it.each([
    [429, undefined, "transient", "http_429"],
    [429, NOW, "limit", "http_429"],
    [503, NOW, "transient", "busy"],
    [500, NOW, "transient", "http_500"],
    [503, undefined, "transient", "http_503"],
    [502, undefined, "transient", "http_502"],
    [408, undefined, "transient", "http_408"],
    [404, undefined, "attention", "http_404"],
    [400, undefined, "attention", "http_400"],
  ] as const)("with status %d and Retry-After %s is %s (%s)", (status, retryAt, disposition, code) => {
    const error = problemError({ type: "about:blank", detail: "" }, status, retryAt);
    expect(error).toMatchObject({ disposition, code, message: "about:blank" });
  });
});

describe("the name that a problem speaks of", () => {
  const sub = (value: string, detail: string): Problem => ({
    ...problem("rejectedIdentifier", { detail }),
    identifier: { type: "dns", value },
  });

  it("is its own, or that of the first subproblem; every one of them is told", () => {
    const subproblems = [sub("a.example", "is blocked"), sub("b.example", "is blocked too")];
    expect(problemError(problem("malformed", { subproblems }))).toMatchObject({
      identifier: "a.example",
      message: "the CA's words; a.example: is blocked; b.example: is blocked too",
    });
    const own = problem("malformed", { identifier: { type: "dns", value: "c.example" }, subproblems });
    expect(problemError(own).identifier).toBe("c.example");
    expect(problemError(problem("malformed")).identifier).toBeUndefined();
  });
});

describe("Retry-After", () => {
  it.each([
    ["0", NOW],
    ["120", NOW + 120_000],
    [" 7 ", NOW + 7_000],
    ["Fri, 28 Aug 2026 14:01:30 GMT", NOW + 90_000],
    ["Fri, 28 Aug 2026 13:00:00 GMT", NOW],
    ["99999999999999999999", NOW + 365 * 86_400_000],
    ["soon", undefined],
    ["", undefined],
    [undefined, undefined],
  ])("%j", (header, at) => {
    expect(retryAfterOf(header, NOW)).toBe(at);
  });
});

it("tells problem documents from other bodies", () => {
  expect([{ type: "about:blank" }, problem("dns")].every(isProblem)).toBe(true);
  expect([undefined, null, "type", 4, [], {}, { type: 4 }].some(isProblem)).toBe(false);
  expect(shortType(acme("dns"))).toBe("dns");
  expect(shortType("urn:acme:error:dns")).toBe("");
  expect(shortType(undefined)).toBe("");
});
