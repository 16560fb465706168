/**
 * A real Chromium for tests of pages:
 *
 *   const browser = await openBrowser();                        in beforeAll; `browser.stop()` in afterAll
 *   const page = await browser.newPage({ dark: true, width: 400, height: 800 });
 *   await page.goto(url);                                       a Page of playwright-core, with all it can do
 *   expect(page.problems).toEqual([]);                          errors, breaches of the CSP, foreign requests
 *   expect(await seriousFaults(page)).toEqual([]);              what axe-core finds
 */
import axe from "axe-core";
import { chromium, type Page } from "playwright-core";
import { ensureTools } from "../../scripts/tools.ts";

/** The tests' own machines are no secret: without a sandbox it runs as root, and in containers. */
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface PageOptions {
  /** What the person's system asks for; light where left out. */
  dark?: boolean;
  /** Of the viewport, in CSS pixels: 1280 by 800. */
  width?: number;
  height?: number;
  /** Sent as bearer token with every request. Without one a test signs in as a person does. */
  token?: string;
}

/** A page in a context of its own: no cookie and no storage of another one. */
export interface TestPage extends Page {
  /**
   * What went wrong so far, one line each: "console: …" (errors), "page: …" (uncaught), "csp: …" (reported or
   * refused), "foreign: …" (a request to another origin than that of the first page). A test that means one to
   * happen takes it out.
   */
  readonly problems: string[];
}

export interface TestBrowser {
  newPage(options?: PageOptions): Promise<TestPage>;
  /** Ends Chromium with all its pages. */
  stop(): Promise<void>;
}

/** On a bare machine this installs Chromium, which takes minutes: give the hook that calls it time. */
export async function openBrowser(): Promise<TestBrowser> {
  const { chromium: executablePath } = await ensureTools(["chromium"]);
  // It hangs on a pipe of this process and ends with it, however that ends. Signals are for temp.ts to answer.
  const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };
  const browser = await chromium.launch({ executablePath, args: ARGS, chromiumSandbox: false, ...signals });
  return {
    async newPage({ dark = false, width = 1_280, height = 800, token } = {}) {
      const context = await browser.newContext({
        viewport: { width, height },
        colorScheme: dark ? "dark" : "light",
        ...(token === undefined ? {} : { extraHTTPHeaders: { authorization: `Bearer ${token}` } }),
      });
      const page = await context.newPage();
      return Object.assign(page, { problems: watched(page) });
    },
    stop: () => browser.close(),
  };
}

/** Signs in as a person does, and goes on to that page. */
export async function signIn(page: Page, url: string, token: string, path = "/"): Promise<void> {
  await page.goto(`${url}/sign-in?next=${encodeURIComponent(path)}`);
  await page.getByLabel("Token").fill(token);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${url}${path}`);
  await page.getByRole("heading", { level: 1 }).waitFor();
}

/** Its problems, added to as they come. */
function watched(page: Page): string[] {
  const problems: string[] = [];
  let own: string | undefined;
  page.on("console", (message) => {
    const text = message.text();
    // A policy that only reports does so as a warning or less.
    if (text.includes("Content Security Policy")) problems.push(`csp: ${text}`);
    else if (message.type() === "error") problems.push(`console: ${text} (${message.location().url})`);
  });
  page.on("pageerror", (error) => problems.push(`page: ${error.message}`));
  const asked = (url: string): void => {
    const { protocol, host } = new URL(url);
    if (!/^(http|ws)s?:$/.test(protocol)) return;
    own ??= host;
    if (host !== own) problems.push(`foreign: ${url}`);
  };
  page.on("request", (request) => asked(request.url()));
  page.on("websocket", (socket) => asked(socket.url()));
  return problems;
}

/**
 * What axe-core calls serious or critical in the page as it stands, one line each: rule, what is wrong, where.
 * It is evaluated by the debugger, which the page's own CSP does not bind.
 */
export async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>(
    "axe.run(document, { resultTypes: ['violations'] })",
  );
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, help, nodes }) => `${id}: ${help} (${nodes.map(({ target }) => target.join(" ")).join("; ")})`,
    );
}
