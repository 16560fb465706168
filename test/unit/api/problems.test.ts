import { describe, expect, it } from "vitest";
import { problemOf, RequestError } from "../../../src/api/problems.ts";
import { AppError, type Disposition } from "../../../src/core/errors.ts";

const NOW = Date.UTC(2025, 7, 28, 14, 15, 1);

function answerTo(disposition: Disposition, details: { code?: string; retryAt?: number } = {}) {
  const { code = "some_code", ...rest } = details;
  return problemOf(new AppError("What went wrong.", { code, disposition, ...rest }), NOW);
}

describe("problemOf", () => {
  it.each([
    ["transient", 503],
    ["retry", 503],
    ["limit", 429],
    ["attention", 409],
    ["account", 502],
    ["node", 503],
    ["usage", 422],
    ["unavailable", 503],
    ["internal", 500],
  ] as const)("answers %s by %i", (disposition, status) => {
    const { problem } = answerTo(disposition);
    expect(problem.status).toBe(status);
    expect(problem.type).toBe("urn:certherd:error:some_code");
    expect(problem.title).not.toBe("");
  });

  it("keeps the error's sentence, but for what went wrong inside", () => {
    expect(answerTo("unavailable").problem.detail).toBe("What went wrong.");
    expect(answerTo("internal").problem.detail).not.toContain("What went wrong");
  });

  it("says when to come back where that is known, and a guess where it will pass", () => {
    expect(answerTo("limit", { retryAt: NOW + 90_500 }).retryAfter).toBe(91);
    expect(answerTo("limit", { retryAt: NOW - 1 }).retryAfter).toBe(1);
    expect(answerTo("unavailable").retryAfter).toBe(5);
    expect(answerTo("usage").retryAfter).toBeUndefined();
    expect(answerTo("internal").retryAfter).toBeUndefined();
  });

  it("knows the statuses of what other folders throw", () => {
    expect(answerTo("usage", { code: "csv_too_large" }).problem.status).toBe(413);
    expect(answerTo("usage", { code: "not_found" }).problem.status).toBe(404);
    expect(answerTo("usage", { code: "csv_empty" }).problem.status).toBe(422);
  });

  it("lists the fields of a request that are wrong", () => {
    const errors = [{ field: "mail.to", value: "x", reason: "it is no mail address" }];
    const error = new RequestError(422, "invalid_request", "It is wrong.", errors);
    expect(problemOf(error, NOW)).toEqual({
      problem: {
        type: "urn:certherd:error:invalid_request",
        title: "Unprocessable Entity",
        status: 422,
        detail: "It is wrong.",
        errors,
      },
    });
  });
});
