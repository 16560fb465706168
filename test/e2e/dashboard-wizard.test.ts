/** A CSV is pasted into the wizard, mended, looked at, and imported, by a real browser, until all is served. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Download } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { openStage, type Stage, startCertherd, stopProcess } from "../../scripts/stage.ts";
import { openBrowser, seriousFaults, signIn, type TestBrowser, type TestPage } from "../support/browser.ts";
import { Installation } from "../support/certherd.ts";
import { startHaproxy } from "../support/haproxy.ts";
import { untilReady } from "../support/http.ts";
import { haproxyNode, terminationYaml } from "../support/terminations.ts";

const TOKEN = "a-token-of-the-wizards-test";
/** An address of this machine that is no VIP. */
const ELSEWHERE = "127.0.0.9";
const SCREENSHOTS = process.env.SCREENSHOTS;

let stage: Stage;
let browser: TestBrowser;
let url: string;
let page: TestPage;
const started: { stop(): Promise<unknown> }[] = [];

beforeAll(async () => {
  stage = await openStage({ gate: true, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
  started.push({ stop: () => stage.close() });
  const haproxy = await startHaproxy();
  browser = await openBrowser();
  started.push(haproxy, browser);
  const house = new Installation(stage, {
    CERTHERD_PREFLIGHT: "require",
    CERTHERD_DNS: stage.pebble.dns.address,
    CERTHERD_HTTP_PORT: String(stage.acmePort),
    CERTHERD_API_TOKEN: TOKEN,
  });
  started.push({ stop: () => house.close() });
  house.config(
    `${terminationYaml([haproxyNode("lb1", haproxy)])}vips: [127.0.0.1]\npreflight: { recheck: [1s] }\n`,
  );
  const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
  started.push({ stop: () => stopProcess(up) });
  url = `http://${house.env.CERTHERD_LISTEN}`;
  await untilReady(url);
  await stage.pebble.dns.addA("away.wizard.moo.com", [ELSEWHERE]);
}, 300_000);

afterAll(async () => {
  for (const { stop } of started.splice(0).reverse()) await stop();
});

afterEach(async () => {
  await page?.context().close();
});

async function signedIn(path: string, options = {}): Promise<void> {
  page = await browser.newPage(options);
  page.setDefaultTimeout(20_000);
  await signIn(page, url, TOKEN, path);
}

/** In both schemes, with pictures for who wants them. */
async function looksWell(name: string): Promise<void> {
  for (const colorScheme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme });
    expect(await seriousFaults(page)).toEqual([]);
    if (SCREENSHOTS === undefined) continue;
    mkdirSync(SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: join(SCREENSHOTS, `${name}-${colorScheme}.png`), fullPage: true });
  }
}

const heading = (text: string) => page.getByRole("heading", { name: text }).waitFor();
const button = (name: string | RegExp) => page.getByRole("button", { name });

async function text(download: Promise<Download>): Promise<string[]> {
  return readFileSync(await (await download).path(), "utf8")
    .trimEnd()
    .split("\n");
}

const csv = (...rows: string[]): string =>
  ["DOMAIN,VIPPort,ACMEPort", ...rows.map((row) => `${row},${stage.acmePort}`)].join("\n");

it("three bad rows: one mended in place, one left out, one left behind; the rest is served, without a reload", async () => {
  await signedIn("/imports");
  await page.getByRole("link", { name: "Import a CSV" }).click();
  await heading("File");
  await page.getByLabel("Pasted text").check();
  const rows = csv(
    "one.wizard.moo.com,443",
    "bad_name.wizard.moo.com,443",
    "two.wizard.moo.com,https",
    "away.wizard.moo.com,443",
    "https://three.wizard.moo.com/,443",
  );
  await page.getByLabel("Rows", { exact: true }).fill(rows);
  await looksWell("file");
  await button("Check the rows").click();

  await heading("Rows");
  expect(await page.evaluate("document.activeElement.id")).toBe("step-heading");
  const invalid = page.locator("input[aria-invalid=true]");
  expect(await invalid.evaluateAll((found) => found.map((input) => input.ariaLabel))).toEqual([
    "DOMAIN, line 3",
    "VIPPort, line 4",
    "DOMAIN, line 6",
  ]);
  const why = (await invalid.first().getAttribute("aria-describedby")) ?? "";
  expect(await page.locator(`#${why}`).textContent()).toContain("underscore");
  await looksWell("rows");
  await invalid.first().fill("mended.wizard.moo.com");
  await button("Leave out line 4").click();
  await button("Check again").click();
  await button("Go on with 3, leave 1 out").click();

  await heading("Names and plan");
  await page.getByText("2 of 3 certificates can be ordered now.").waitFor();
  expect(await page.getByRole("row", { name: /^away\.wizard\.moo\.com/ }).textContent()).toContain(ELSEWHERE);
  await page.locator(".chart canvas").waitFor();
  await looksWell("names");
  const customers = page.waitForEvent("download");
  await button("Download it for the customer").click();
  expect(await text(customers)).toEqual([
    "DOMAIN,Record,Type,Set,Today,Why,Mail",
    expect.stringMatching(/^away\.wizard\.moo\.com,away\.wizard\.moo\.com,A,127\.0\.0\.1,127\.0\.0\.9,/),
  ]);
  await button("Go on with 3").click();

  await heading("Confirm");
  await looksWell("confirm");
  // Nothing is lost by going back.
  await page.getByRole("link", { name: "File" }).click();
  await expect
    .poll(() => page.getByLabel("Rows", { exact: true }).inputValue())
    .toBe(rows.replace("bad_name", "mended").replace("two.", "# two."));
  await button("Check the rows").click();
  await button("Go on with 3, leave 1 out").click();
  await page.getByText("2 of 3 certificates can be ordered now.").waitFor();
  await button("Go on with 3").click();
  await button("Import 3 certificates, leave 1 row out").click();

  await page.waitForURL(/\/imports\/20/);
  const loaded = await page.evaluate(() => performance.timeOrigin);
  await page.getByText("2 of 3 certificates done", { exact: true }).waitFor();
  await page.getByRole("row", { name: /away\.wizard\.moo\.com/ }).waitFor();
  await looksWell("import");
  await stage.pebble.dns.clearA("away.wizard.moo.com");
  await page.getByText("3 of 3 certificates done", { exact: true }).waitFor();
  await page.getByRole("link", { name: "Serving 3" }).waitFor();
  expect(await page.evaluate(() => performance.timeOrigin)).toBe(loaded);
  const report = page.waitForEvent("download");
  await page.getByRole("link", { name: "Report (CSV)" }).click();
  expect((await text(report)).filter((line) => line.includes(",serving,"))).toHaveLength(3);
  const rejected = page.waitForEvent("download");
  await page.getByRole("link", { name: "Rejected rows (CSV)" }).click();
  expect((await text(rejected))[1]).toContain("https://three.wizard.moo.com/,443");
  await page.getByRole("link", { name: "Serving 3" }).click();
  await page.getByText("Of one import").waitFor();
  await expect.poll(() => page.locator("tbody tr").count()).toBe(3);
  await looksWell("list-of-import");
  expect(page.problems).toEqual([]);
});

it("a file is dropped on it; whoever would leave with that is asked first, and may go once it is imported", async () => {
  await signedIn("/imports/new");
  await heading("File");
  const content = JSON.stringify(csv("dropped.wizard.moo.com,443"));
  const dataTransfer = await page.evaluateHandle(`(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([${content}], "dropped.csv", { type: "text/csv" }));
    return transfer;
  })()`);
  await page.locator(".drop").dispatchEvent("drop", { dataTransfer });
  await page.getByText("dropped.csv").waitFor();
  await button("Check the rows").click();
  await button("Go on with 1").click();
  expect(await page.evaluate(OBJECTS)).toBe(true);
  await button("Go on with 1").click();
  await button("Import 1 certificate").click();
  await page.getByText("1 of 1 certificate done", { exact: true }).waitFor();
  await heading("dropped.csv");
  expect(await page.evaluate(OBJECTS)).toBe(false);
  expect(page.problems).toEqual([]);
});

/** Whether a page that is told that it is about to be left objects, which makes the browser ask. */
const OBJECTS = `(() => {
  const event = new Event("beforeunload", { cancelable: true });
  dispatchEvent(event);
  return event.defaultPrevented;
})()`;

/** The name of what has the focus. */
const FOCUSED = `(({ ariaLabel, labels, textContent }) => ariaLabel ?? labels?.[0]?.textContent ?? textContent)(document.activeElement)`;

/** Tabs on to what has a name that begins so, as a screen reader would say it. */
async function tabTo(name: string): Promise<void> {
  for (let tabs = 0; tabs < 80; tabs++) {
    await page.keyboard.press("Tab");
    const said = await page.evaluate<string>(FOCUSED);
    if (said.trim().startsWith(name)) return;
  }
  throw new Error(`the Tab key does not lead to ${name}`);
}

it("by the keyboard alone, from the sign-in to what is served; and the rejected rows are mended in the wizard", async () => {
  await signedIn("/imports/new", { dark: true });
  await heading("File");
  await tabTo("A file");
  await page.keyboard.press("ArrowRight");
  await tabTo("Rows");
  await page.keyboard.insertText(csv("keys.wizard.moo.com,443", "bad_keys.wizard.moo.com,443"));
  await tabTo("Check the rows");
  await page.keyboard.press("Enter");
  await heading("Rows");
  await tabTo("Go on with 1, leave 1 out");
  await page.keyboard.press("Enter");
  await page.getByText("All 1 certificate can be ordered").waitFor();
  await tabTo("Go on with 1");
  await page.keyboard.press("Enter");
  await heading("Confirm");
  await tabTo("Import 1 certificate, leave 1 row out");
  await page.keyboard.press("Enter");
  await page.getByText("1 of 1 certificate done", { exact: true }).waitFor();
  await tabTo("Mend them, and import again");
  await page.keyboard.press("Enter");
  await page.getByLabel("DOMAIN, line 2").waitFor();
  await tabTo("DOMAIN, line 2");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText("good-keys.wizard.moo.com");
  await page.keyboard.press("Enter");
  await tabTo("Go on with 1");
  await page.keyboard.press("Enter");
  await heading("Names and plan");
  await tabTo("Go on with");
  await page.keyboard.press("Enter");
  await tabTo("Import 1 certificate");
  await page.keyboard.press("Enter");
  await page.getByText("1 of 1 certificate done", { exact: true }).waitFor();
  expect(page.problems).toEqual([]);
});
