/** The dashboard in the real Chromium, over a running `certherd up` with Pebble and HAProxy. */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Response } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openStage, type Stage, startCertherd, stopProcess } from "../../scripts/stage.ts";
import { openBrowser, seriousFaults, signIn, type TestBrowser, type TestPage } from "../support/browser.ts";
import { Installation } from "../support/certherd.ts";
import { type Haproxy, startHaproxy } from "../support/haproxy.ts";
import { untilReady } from "../support/http.ts";
import { haproxyNode, terminationYaml } from "../support/terminations.ts";

const TOKEN = "the-token-of-this-test";
const READER = "a-token-that-may-only-read";
/** Names that lead to where nobody answers until the test lets them lead here. */
const LATE = ["late1.moo.example", "late2.moo.example", "late3.moo.example"];
const ELSEWHERE = "127.0.0.9";
const GOOD = Array.from({ length: 12 }, (_, n) => `shop${n}.customer${n % 4}.example`);

/** Where screenshots are put, for a person to look at. */
const { SCREENSHOTS } = process.env;

let stage: Stage;
let house: Installation;
let node: Haproxy;
let browser: TestBrowser;
let url: string;
const started: { stop(): Promise<unknown> }[] = [];

beforeAll(async () => {
  stage = await openStage({ gate: true, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
  started.push({ stop: () => stage.close() });
  node = await startHaproxy();
  started.push(node);
  house = new Installation(stage, { CERTHERD_API_TOKEN: TOKEN });
  started.push({ stop: () => house.close() });
  const sha256 = createHash("sha256").update(READER).digest("hex");
  house.config(
    `${terminationYaml([haproxyNode("lb1", node)])}\ntokens: [{ name: reader, sha256: ${sha256}, scopes: [read] }]\n`,
  );
  for (const name of LATE) await stage.pebble.dns.addA(name, [ELSEWHERE]);
  const child = startCertherd(["up"], house.env, join(house.home, "up.log"));
  started.push({ stop: () => stopProcess(child) });
  url = `http://${stage.env.CERTHERD_LISTEN}`;
  await untilReady(url);
  browser = await openBrowser();
  started.push(browser);
}, 300_000);

afterAll(async () => {
  for (const { stop } of started.splice(0).reverse()) await stop();
});

async function signedIn(
  options: Parameters<TestBrowser["newPage"]>[0] = {},
  token = TOKEN,
): Promise<TestPage> {
  const page = await browser.newPage(options);
  await signIn(page, url, token);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  return page;
}

async function shot(page: TestPage, name: string): Promise<void> {
  if (SCREENSHOTS === undefined) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

const tile = (page: TestPage, label: string) =>
  page.getByRole("list").getByRole("link", { name: new RegExp(`^\\d+ ?${label}`) });

it("lets nobody in without a token, refuses a wrong one, and goes on to what was asked for", async () => {
  const page = await browser.newPage();
  await page.goto(`${url}/limits`);
  expect(page.url()).toBe(`${url}/sign-in?next=${encodeURIComponent("/limits")}`);
  expect(await seriousFaults(page)).toEqual([]);
  await shot(page, "sign-in");
  await page.getByLabel("Token").fill("wrong");
  await page.keyboard.press("Enter");
  expect(await page.getByRole("alert").textContent()).not.toBe("");
  // The browser itself says in its console that this was answered with 401.
  page.problems.splice(0);
  await page.getByLabel("Token").fill(TOKEN);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Limits", level: 1 }).waitFor();
  expect(page.url()).toBe(`${url}/limits`);
  const [cookie] = await page.context().cookies();
  expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict" });
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  await page.goto(`${url}/`);
  expect(page.url()).toBe(`${url}/sign-in`);
  expect(page.problems).toEqual([]);
});

it("shows an import as it goes on, without being loaded anew", async () => {
  const page = await signedIn();
  await page.evaluate("window.notReloaded = true");
  const rows = [...GOOD, ...LATE].map((name) => `${name},443,${stage.acmePort}`);
  expect(await house.run(["import", house.csv("shops.csv", rows)])).toMatchObject({ code: 0 });
  await tile(page, "Serving")
    .filter({ hasText: String(GOOD.length) })
    .waitFor({ timeout: 45_000 });
  await page
    .getByRole("link", { name: GOOD[0] ?? "" })
    .or(page.getByText("Latest events"))
    .first()
    .waitFor();
  expect(await page.getByRole("listitem").filter({ hasText: "Serving" }).count()).toBeGreaterThan(1);
  expect(await page.evaluate("window.notReloaded")).toBe(true);
  await shot(page, "overview");
  expect(page.problems).toEqual([]);
});

it("tries what has failed again in bulk, and says what will happen and what came of it", async () => {
  const page = await signedIn();
  await page.getByRole("link", { name: "Certificates", exact: true }).click();
  await page.getByLabel("Status").selectOption("waiting");
  await page.getByLabel("Waiting for").selectOption("retry");
  await expect.poll(() => page.getByRole("row").count(), { timeout: 20_000 }).toBe(LATE.length + 1);
  await page.getByLabel("Choose all on this page").check();
  for (const name of LATE) await stage.pebble.dns.clearA(name);
  await page.getByRole("button", { name: "Retry" }).click();
  const dialog = page.getByRole("dialog");
  expect(await dialog.textContent()).toContain("counts towards the limits");
  await shot(page, "bulk-retry");
  await dialog.getByRole("button", { name: "Retry 3 certificates" }).click();
  await dialog.getByText("3 certificates put in line again.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.getByLabel("Status").selectOption("serving");
  await page.getByLabel("Search names").fill("late");
  await expect.poll(() => page.getByRole("row").count(), { timeout: 45_000 }).toBe(LATE.length + 1);
  expect(page.problems).toEqual([]);
});

it("can be used by the keyboard alone", async () => {
  const page = await browser.newPage();
  await page.goto(`${url}/`);
  await expect.poll(() => page.evaluate("document.activeElement?.id")).toBe("token");
  await page.keyboard.type(TOKEN);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.keyboard.press("Tab");
  expect(await focused(page)).toBe("Skip to the content");
  await tabTo(page, "Certificates");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Certificates" }).waitFor();
  await tabTo(page, GOOD[0] ?? "");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: GOOD[0] ?? "" }).waitFor();
  await tabTo(page, "Pause");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await tabTo(page, "Pause 1 certificate");
  await page.keyboard.press("Enter");
  await page.getByText("1 certificate paused.").waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("Paused", { exact: true }).first().waitFor();
  await tabTo(page, "Resume");
  await page.keyboard.press("Enter");
  await tabTo(page, "Resume 1 certificate");
  await page.keyboard.press("Enter");
  await page.getByText("1 certificate resumed.").waitFor();
  await page.keyboard.press("Escape");
  await page.getByText("Serving", { exact: true }).first().waitFor({ timeout: 20_000 });
  expect(page.problems).toEqual([]);
});

it("offers a reader nothing that a reader may not do", async () => {
  const page = await signedIn({}, READER);
  await page.goto(`${url}/certificates/${GOOD[1]}`);
  await page.getByRole("heading", { name: "Its way" }).waitFor();
  for (const name of ["Renew", "Pause", "Remove", "Revoke"])
    expect(await page.getByRole("button", { name }).count()).toBe(0);
  expect(await page.getByRole("link", { name: "Audit" }).count()).toBe(0);
  await page.goto(`${url}/certificates`);
  await page.getByRole("row").nth(1).waitFor();
  expect(await page.getByRole("button", { name: "Retry" }).count()).toBe(0);
  expect(page.problems).toEqual([]);
});

it.each([
  { scheme: "light", width: 1_280 },
  { scheme: "dark", width: 1_280 },
  { scheme: "light", width: 390 },
])("has pages that axe finds nothing serious on, in $scheme at $width px", async ({ scheme, width }) => {
  const page = await signedIn({ dark: scheme === "dark", width, height: width === 390 ? 844 : 800 });
  const paths = [
    "/",
    "/certificates",
    `/certificates/${GOOD[2]}`,
    "/imports",
    "/imports/new",
    "/limits",
    "/audit",
  ];
  for (const path of paths) {
    await arrive(page, path);
    expect(await seriousFaults(page), path).toEqual([]);
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path).toBe(true);
    await shot(
      page,
      `${path.replace(/[^a-z]+/g, "-").replace(/^-|-$/g, "") || "overview"}-${scheme}-${width}`,
    );
  }
  // Bull Board, which is not ours, behind the same sign-in and the same policy.
  await page.goto(`${url}/queues`);
  await page.getByText("Certherd queues").first().waitFor();
  expect(page.problems).toEqual([]);
});

it("takes less than 150 kB of script for any page, and for all of them together as they are sent", async () => {
  const page = await signedIn();
  const sent = new Map<string, number>();
  for (const path of [
    "/",
    "/certificates",
    `/certificates/${GOOD[2]}`,
    "/imports",
    "/imports/new",
    "/limits",
  ]) {
    const scripts: Response[] = [];
    const note = (response: Response): void => {
      if (new URL(response.url()).pathname.endsWith(".js")) scripts.push(response);
    };
    page.on("response", note);
    await arrive(page, path);
    page.off("response", note);
    let raw = 0;
    for (const script of scripts) {
      raw += (await script.body()).length;
      sent.set(script.url(), (await script.request().sizes()).responseBodySize);
    }
    expect(raw, path).toBeGreaterThan(10_000);
    expect(raw, path).toBeLessThan(150_000);
  }
  expect([...sent.values()].reduce((sum, size) => sum + size, 0)).toBeLessThan(150_000);
  expect(page.problems).toEqual([]);
});

/** Goes there, and waits until what the page is about is shown. */
async function arrive(page: TestPage, path: string): Promise<void> {
  await page.goto(`${url}${path}`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await expect.poll(() => page.getByText("is on its way…").count()).toBe(0);
}

async function focused(page: TestPage): Promise<string> {
  return String(
    await page.evaluate(
      "(document.activeElement?.getAttribute('aria-label') || document.activeElement?.textContent || '').trim()",
    ),
  );
}

/** Presses Tab until that is focused; fails where that is never. */
async function tabTo(page: TestPage, name: string): Promise<void> {
  for (let presses = 0; presses < 80; presses++) {
    if ((await focused(page)) === name) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`${name} is not reached by Tab`);
}
