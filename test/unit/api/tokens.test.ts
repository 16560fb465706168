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

describe("a token's mark", () => {
  const crm = book.find("crm-secret");

  it("finds who that was, with the scopes of today", () => {
    const later = new TokenBook(undefined, [
      { name: "crm", sha256: sha256("crm-secret"), scopes: ["admin"] },
    ]);
    const now = later.byMark("named:crm", crm?.mark ?? "");
    expect([...(now?.scopes ?? [])]).toEqual(["admin"]);
  });

  it("finds nobody when the token is gone, or another one of the same name", () => {
    const other = new TokenBook("all", [{ name: "crm", sha256: sha256("new"), scopes: ["read"] }]);
    expect(other.byMark("named:crm", crm?.mark ?? "")).toBeUndefined();
    expect(other.byMark("full", crm?.mark ?? "")).toBeUndefined();
    expect(new TokenBook("other", []).byMark("full", book.find("all")?.mark ?? "")).toBeUndefined();
  });

  it("tells nothing of the token, nor of its digest", () => {
    expect(crm?.mark).toMatch(/^[\w-]{16}$/);
    expect(sha256("crm-secret")).not.toContain(Buffer.from(crm?.mark ?? "", "base64url").toString("hex"));
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
    const admin = { id: "a", mark: "", scopes: new Set(["admin"] as const) };
    for (const scope of ["read", "enqueue", "admin"] as const) expect(mayDo(admin, scope)).toBe(true);
  });
});
