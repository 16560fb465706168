import { AppError } from "../core/errors.ts";
import { type Problem, problemError, shortType } from "./problems.ts";

/** The first `terms-of-service` link of a Link header (RFC 8555 §7.3.3, RFC 8288 §3). */
export function termsLink(header: string | undefined): string | undefined {
  const links = header?.matchAll(/<([^>]*)>((?:\s*;\s*[\w*-]+=(?:"[^"]*"|[^\s",;]+))*)/g) ?? [];
  for (const [, target, parameters = ""] of links)
    if (/;\s*rel="?(?:[^"]*\s)?terms-of-service(?:\s[^"]*)?"?/i.test(parameters)) return target;
  return undefined;
}

/**
 * As `problemError`; where a person has to agree to other terms first (`userActionRequired`), with their URL, which
 * comes in a Link header, and that of the instructions (RFC 8555 §7.3.3).
 */
export function refusalError(
  problem: Problem,
  status: number,
  retryAt: number | undefined,
  link?: string,
): AppError {
  const error = problemError(problem, status, retryAt);
  if (shortType(problem.type) !== "userActionRequired") return error;
  const terms = termsLink(link);
  const { instance } = problem;
  const what = [
    /[.!?]$/.test(error.message) ? error.message : `${error.message}.`,
    ...(terms === undefined ? [] : [`The terms: ${terms}`]),
    ...(instance === undefined ? [] : [`What to do: ${instance}`]),
    "When that is done: certherd account agree",
  ];
  const { code, disposition, type, identifier } = error;
  return new AppError(what.join(" "), {
    code,
    disposition,
    type,
    identifier,
    url: instance ?? terms,
    cause: error,
  });
}
