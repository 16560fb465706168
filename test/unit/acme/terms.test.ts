import { describe, expect, it } from "vitest";
import { refusalError, termsLink } from "../../../src/acme/terms.ts";

const TERMS = "https://ca.example/terms-2";

describe("the link to the terms of service", () => {
  it.each([
    [`<${TERMS}>;rel="terms-of-service"`],
    [`<${TERMS}>; rel=terms-of-service`],
    [`<https://ca.example/dir>;rel="index", <${TERMS}>;rel="terms-of-service"`],
    [`<https://ca.example/dir>;rel="index",<${TERMS}>; title="a, b"; rel="help terms-of-service"`],
  ])("%s", (header) => expect(termsLink(header)).toBe(TERMS));

  it.each([[undefined], [""], ['<https://ca.example/dir>;rel="index"'], ['<x>;rel="no-terms-of-service"']])(
    "is not in %s",
    (header) => expect(termsLink(header)).toBeUndefined(),
  );
});

describe("userActionRequired", () => {
  const problem = {
    type: "urn:ietf:params:acme:error:userActionRequired",
    detail: "Terms of service have changed",
    instance: "https://ca.example/agree/?token=1",
  };

  it("stops the account, and says what to agree to, where, and what to do then", () => {
    const error = refusalError(problem, 403, undefined, `<${TERMS}>;rel="terms-of-service"`);
    expect(error).toMatchObject({
      code: "user_action_required",
      disposition: "account",
      type: problem.type,
      url: problem.instance,
      message: `Terms of service have changed. The terms: ${TERMS} What to do: ${problem.instance} When that is done: certherd account agree`,
    });
  });

  it("names the terms where there are no instructions, and neither where the CA says neither", () => {
    const { instance: _, ...bare } = problem;
    const link = `<${TERMS}>;rel="terms-of-service"`;
    expect(refusalError(bare, 403, undefined, link).url).toBe(TERMS);
    expect(refusalError(bare, 403, undefined).message).toBe(
      "Terms of service have changed. When that is done: certherd account agree",
    );
  });
});

it("another refusal is not touched", () => {
  const problem = { type: "urn:ietf:params:acme:error:caa", detail: "no" };
  expect(refusalError(problem, 403, undefined, `<${TERMS}>;rel="terms-of-service"`)).toMatchObject({
    code: "caa",
    message: "no",
    url: undefined,
  });
});
