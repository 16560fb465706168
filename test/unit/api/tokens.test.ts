import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { mayDo, TokenBook } from "../../../src/api/tokens.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const book = new TokenBook("all", [
  { name: "crm", sha256: sha256("crm-secret"), scopes: ["read", "enqueue"] },
  { name: "graphs", sha256: sha256("graphs-secret"), scopes: ["read"] },
]);

describe("TokenBook", () => {
  it("finds a token by its digest", () => {
    expect(book.find("crm-secret")?.id).toBe("named:crm");
    expect(book.find("graphs-secret")?.id).toBe("named:graphs");
    expect(book.find("all")?.id).toBe("full");
  });

  it("finds nothing else", () => {
    for (const token of ["", "crm-secre", "crm-secret ", sha256("crm-secret"), "undefined"])
      expect(book.find(token)).toBeUndefined();
  });

  it("lets nobody in when it is empty", () => {
    expect(new TokenBook(undefined, []).find("")).toBeUndefined();
  });
});

describe("mayDo", () => {
  it("lets each do what its scopes say, and admins all", () => {
    const graphs = book.find("graphs-secret");
    const all = book.find("all");
    if (!graphs || !all) throw new Error("unreachable");
    expect(mayDo(graphs, "read")).toBe(true);
    expect(mayDo(graphs, "enqueue")).toBe(false);
    expect(mayDo(graphs, "admin")).toBe(false);
    const admin = { id: "a", scopes: new Set(["admin"] as const) };
    for (const scope of ["read", "enqueue", "admin"] as const) expect(mayDo(admin, scope)).toBe(true);
  });
});
