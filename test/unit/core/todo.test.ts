/** Every code that needs a person has a sentence that says what to do. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { todoOf } from "../../../src/core/todo.ts";

const FALLBACK = "Mend what the message says, then retry it.";
const stored = (code: string) => ({ code, type: `urn:certherd:error:${code}`, detail: "…" });

/** Codes of docs/errors.md that a certificate stands still for until somebody has done something. */
function needy(): string[] {
  const text = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");
  const [certificates = ""] = text.split("## Usage and configuration");
  let does = "";
  return certificates.split("\n").flatMap((line) => {
    const [, codes = "", , what = "", doing = ""] = line.split("|").map((cell) => cell.trim());
    if (!codes.startsWith("`")) return [];
    if (!/^The same\b/.test(what)) does = what;
    const stands = /`attention`|`waiting` for `(customer|node)`|Stops the account|New order|given: /.test(
      does + what,
    );
    if (!stands || /^(Nothing\.|Nothing, if|–)/.test(doing)) return [];
    return [...codes.matchAll(/`([a-z_]+)`/g)].map(([, code = ""]) => code);
  });
}

describe("todoOf", () => {
  it("knows every code of docs/errors.md that needs a person", () => {
    const codes = needy().filter((code) => code !== "customer_record");
    expect(codes.length).toBeGreaterThan(40);
    const lacking = codes.filter((code) => {
      const todo = todoOf({ status: "attention", reason: "person", error: stored(code) });
      return todo === undefined || todo === FALLBACK;
    });
    expect(lacking).toEqual([]);
  });

  it("is a short sentence", () => {
    for (const code of needy()) {
      const todo = todoOf({ status: "attention", error: stored(code) }) ?? "";
      expect(todo.length).toBeLessThan(130);
      expect(todo).toMatch(/^[A-Z].*\.$/);
    }
  });

  it("says what the owner of a domain has to set", () => {
    const records = [
      { name: "a.example", type: "A", set: "203.0.113.7", today: "192.0.2.1", why: "…" },
      { name: "a.example", type: "AAAA", today: "2001:db8::1", why: "…" },
    ];
    const error = { ...stored("customer_record"), records };
    expect(todoOf({ status: "waiting", reason: "customer", error })).toBe(
      "Have the owner of the domain change DNS: set a.example A 203.0.113.7; remove a.example AAAA.",
    );
  });

  it("leads to the page where it ends", () => {
    const error = { ...stored("paused_by_ca"), url: "https://ca.example/unpause" };
    expect(todoOf({ status: "attention", error })).toBe("Open https://ca.example/unpause, then resume it.");
  });

  it("says nothing where nobody has to do anything", () => {
    expect(todoOf({ status: "serving" })).toBeUndefined();
    expect(todoOf({ status: "waiting", reason: "limit", error: stored("connection") })).toBeUndefined();
    expect(todoOf({ status: "waiting", reason: "retry", error: stored("order_stuck") })).toBeUndefined();
    expect(todoOf({ status: "ordering", error: stored("connection") })).toBeUndefined();
  });

  it("has a word for what is not listed", () => {
    expect(todoOf({ status: "attention" })).toBe(FALLBACK);
    expect(todoOf({ status: "attention", error: stored("constructor") })).toBe(FALLBACK);
    expect(todoOf({ status: "paused" })).toBe("Resume it when it may go on.");
  });
});
