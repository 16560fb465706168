/**
 * Takes the README's pictures of the dashboard anew, into docs/images: a test CA with Let's Encrypt's limits, HAProxy,
 * `certherd up`, and Chromium. `tsx scripts/screenshots.ts [folder]`.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser, signIn, type TestPage } from "../test/support/browser.ts";
import { Installation } from "../test/support/certherd.ts";
import { startHaproxy } from "../test/support/haproxy.ts";
import { untilReady } from "../test/support/http.ts";
import { limitsYaml, SCALED } from "../test/support/limits-yaml.ts";
import { waitUntil } from "../test/support/temp.ts";
import { haproxyNode, terminationYaml } from "../test/support/terminations.ts";
import { openStage, PROJECT, startCertherd, stopProcess } from "./stage.ts";

const FOLDER = process.argv[2] ?? join(PROJECT, "docs/images");
const TOKEN = "screenshots";
const BLOCKED = "pay.blocked.example";
/** More than one registered domain may have at once. */
const BIG = Array.from({ length: 56 }, (_, n) => `shop${n + 1}.marketplace.example`);
const OTHERS = ["acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka"].flatMap((name) =>
  ["www", "mail", "shop", "api"].map((host) => `${host}.${name}.example`),
);

const stage = await openStage({
  gate: true,
  limits: {},
  blocklist: ["blocked.example"],
  validityPeriod: 60 * 86_400,
  env: { PEBBLE_WFE_NONCEREJECT: "0" },
});
const node = await startHaproxy();
const { CERTHERD_CA: _, CERTHERD_CA_ROOT: __, ...env } = stage.env;
const house = new Installation({ env }, { CERTHERD_API_TOKEN: TOKEN });
house.config(
  `${limitsYaml(stage, { scale: 1 }).replaceAll(SCALED, "test-ca")}\n${terminationYaml([haproxyNode("lb1", node)])}`,
);
const late = OTHERS.at(-1) ?? "";
await stage.pebble.dns.setServfail(late);
const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
const browser = await openBrowser();
const url = `http://${env.CERTHERD_LISTEN}`;

try {
  mkdirSync(FOLDER, { recursive: true });
  await untilReady(url);
  const rows = [...OTHERS, ...BIG, BLOCKED].map((name) => `${name},443,${stage.acmePort}`);
  await house.run(["import", house.csv("customers.csv", rows)]);
  const serving = OTHERS.length - 1 + 50;
  await waitUntil(
    async () => (await house.list()).filter(({ status }) => status === "serving").length >= serving,
    {
      timeoutMs: 120_000,
      everyMs: 1_000,
      what: `${serving} certificates to be served`,
    },
  );
  for (const dark of [false, true]) {
    const page = await signedIn(dark);
    const scheme = dark ? "-dark" : "";
    await take(page, "/", `overview${scheme}`);
    if (dark) continue;
    await take(page, "/certificates?status=waiting", "certificates");
    await take(page, `/certificates/${BLOCKED}`, "certificate");
    await wizard(page);
  }
} finally {
  await browser.stop();
  await stopProcess(up);
  await house.close();
  await node.stop();
  await stage.close();
}

async function signedIn(dark: boolean): Promise<TestPage> {
  const page = await browser.newPage({ dark, height: 860 });
  await signIn(page, url, TOKEN);
  return page;
}

async function take(page: TestPage, path: string, name: string): Promise<void> {
  await page.goto(url + path);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForTimeout(1_500);
  await page.screenshot({ path: join(FOLDER, `${name}.png`) });
}

/** A row with a fault, at its cell. */
async function wizard(page: TestPage): Promise<void> {
  await page.goto(`${url}/imports/new`);
  await page.getByLabel("Pasted text").check();
  await page
    .getByLabel("Rows", { exact: true })
    .fill(
      "DOMAIN,VIPPort,ACMEPort,FROMAddr,TOAddr,RELAYAddr,RELAYPort\nnew.acme.example,443,8888\nwww.globex_.example,443,8888\nnew.hooli.example,443,88888\nnew.wonka.example\n",
    );
  await page.getByRole("button", { name: "Check the rows" }).click();
  await page.locator("input[aria-invalid=true]").first().waitFor();
  await page.screenshot({ path: join(FOLDER, "wizard.png") });
}
