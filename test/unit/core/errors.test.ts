import { describe, expect, it } from "vitest";
import { AppError, asAppError, storedError, usageError } from "../../../src/core/errors.ts";

describe("AppError", () => {
  it("carries what is needed to act on it, and its cause", () => {
    const cause = new Error("ECONNRESET");
    const error = new AppError("The CA cannot be reached.", {
      code: "ca_unreachable",
      disposition: "transient",
      retryAt: 17,
      identifier: "a.example",
      cause,
    });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: "AppError",
      message: "The CA cannot be reached.",
      code: "ca_unreachable",
      disposition: "transient",
      retryAt: 17,
      identifier: "a.example",
    });
    expect(error.cause).toBe(cause);
  });

  it("has no cause where none was given", () => {
    expect("cause" in usageError("bad", "It is bad.")).toBe(false);
  });
});

describe("storedError", () => {
  it("keeps the CA's own type and the name that failed", () => {
    const type = "urn:ietf:params:acme:error:dns";
    const error = new AppError("no such host", {
      code: "dns",
      disposition: "retry",
      type,
      identifier: "a.example",
    });
    expect(storedError(error)).toEqual({
      code: "dns",
      type,
      detail: "no such host",
      identifier: "a.example",
    });
  });

  it("gives a type of our own to what is no CA's error", () => {
    expect(storedError(usageError("csv_empty", "It holds no rows."))).toEqual({
      code: "csv_empty",
      type: "urn:certherd:error:csv_empty",
      detail: "It holds no rows.",
    });
  });
});

describe("asAppError", () => {
  it("leaves an AppError as it is", () => {
    const error = usageError("x", "y");
    expect(asAppError(error)).toBe(error);
  });

  it.each([
    [new TypeError("x is undefined"), "x is undefined"],
    ["thrown text", "thrown text"],
    [undefined, "undefined"],
  ])("takes %j for a fault of our own", (thrown, message) => {
    const error = asAppError(thrown);
    expect(error).toMatchObject({ code: "internal", disposition: "internal", message });
    expect(error.cause).toBe(thrown);
  });
});
