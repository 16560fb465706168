import { describe, expect, it } from "vitest";
import { safeNext } from "../../../src/api/sign-in/next.ts";
import { signInPage } from "../../../src/api/sign-in/page.ts";

describe("where a sign-in goes on", () => {
  it.each(["/", "/certificates?status=attention&q=a%2Fb", "/queues/queue/notify", "/docs/#/default"])(
    "%s is a path of this host",
    (path) => {
      expect(safeNext(path)).toBe(path);
    },
  );

  it.each([
    undefined,
    "",
    ["/a", "/b"],
    "certificates",
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "/a\\..\\b",
    "/\t/evil.example",
    "/\n/evil.example",
    " /a",
    "/a\r\nSet-Cookie: x=1",
    "javascript:alert(1)",
    "/bücher",
    "/sign-in?next=/sign-in",
    "/sign-out",
    `/${"a".repeat(2_000)}`,
  ])("%j is none", (given) => {
    expect(safeNext(given)).toBe("/");
  });
});

describe("the sign-in page", () => {
  it("lets nothing out of its attributes and texts", () => {
    const page = signInPage({ next: `/"><script>alert(1)</script>`, error: `<img src='x'>` });
    expect(page).not.toContain("<script");
    expect(page).not.toContain("<img");
    expect(page).toContain("&quot;&gt;&lt;script&gt;");
  });

  it("has no script and no style inside, as its own policy would refuse both", () => {
    const page = signInPage({ next: "/", error: "no" });
    expect(page).not.toMatch(/<script|<style|style=|\son\w+=/);
    expect(page).toContain('role="alert"');
    expect(page).toMatch(/<label for="token">/);
    expect(signInPage({ next: "/" })).not.toContain("alert");
  });
});
