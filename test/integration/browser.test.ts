/** The browser that tests of pages stand on: it sees what it is there to see, under a strict policy too. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openBrowser, seriousFaults, type TestBrowser } from "../support/browser.ts";

const PAGES: Record<string, string> = {
  "/good": `<main><h1>Good</h1><p>Legible.</p></main>`,
  "/bad": `<main><h1>Bad</h1><img src="/dot.svg"><input><p style="color: #ccc">Faint.</p></main>`,
  "/inline": `<main><h1>Inline</h1><script>document.title = "ran"</script></main>`,
  "/foreign": `<main><h1>Foreign</h1><img alt="" src="http://foreign.invalid/x.svg"></main>`,
  "/throws": `<main><h1>Throws</h1><script src="/throws.js"></script></main>`,
};

let browser: TestBrowser;
let server: Server;
let url: string;
let sent: string | undefined;

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? "";
    sent = request.headers.authorization;
    if (path === "/throws.js") {
      response
        .setHeader("content-type", "text/javascript")
        .end("console.error('said'); throw new Error('thrown')");
      return;
    }
    const policy = path === "/foreign" ? "default-src *" : "default-src 'self'; style-src 'unsafe-inline'";
    response.setHeader("content-security-policy", policy);
    response.setHeader("content-type", path.endsWith(".svg") ? "image/svg+xml" : "text/html");
    response.end(
      path.endsWith(".svg")
        ? `<svg xmlns="http://www.w3.org/2000/svg"/>`
        : `<!doctype html><html lang="en"><title>T</title><link rel="icon" href="/dot.svg">${PAGES[path] ?? ""}</html>`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await openBrowser();
}, 300_000);

afterAll(async () => {
  await browser.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

it("finds nothing in a good page, which it shows as it is told to", async () => {
  const page = await browser.newPage({ dark: true, width: 400, height: 700, token: "secret" });
  await page.goto(`${url}/good`);
  expect(sent).toBe("Bearer secret");
  expect(page.viewportSize()).toEqual({ width: 400, height: 700 });
  expect(await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")).toBe(true);
  expect(await seriousFaults(page)).toEqual([]);
  expect(page.problems).toEqual([]);
});

it("finds what people cannot use", async () => {
  const page = await browser.newPage();
  await page.goto(`${url}/bad`);
  expect(sent).toBeUndefined();
  expect(await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")).toBe(false);
  const faults = (await seriousFaults(page)).map((fault) => fault.split(":")[0]);
  expect(faults).toEqual(expect.arrayContaining(["image-alt", "label", "color-contrast"]));
});

it("notes errors, breaches of the policy and requests to others", async () => {
  const kinds = async (path: string): Promise<string[]> => {
    const page = await browser.newPage();
    await page.goto(url + path);
    return [...new Set(page.problems.map((problem) => problem.split(":")[0] ?? ""))].sort();
  };
  expect(await kinds("/inline")).toEqual(["csp"]);
  expect(await kinds("/throws")).toEqual(["console", "page"]);
  expect(await kinds("/foreign")).toContain("foreign");
});
