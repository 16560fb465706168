/** The accounts at CAs as a person sees them, with a real Pebble that wants external account binding. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { CaReport } from "../../src/runtime/account-report.ts";
import { Installation } from "../support/certherd.ts";
import { long } from "../support/long.ts";
import { type Pebble, startPebble } from "../support/pebble.ts";
import { freePort } from "../support/temp.ts";

const MAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

let pebble: Pebble;
let acmePort: number;
let house: Installation;

beforeAll(async () => {
  acmePort = await freePort();
  const profiles = {
    classic: { description: "The usual one", validityPeriod: 90 * 86_400 },
    shortlived: { description: "For six days", validityPeriod: 6 * 86_400 },
  };
  pebble = await startPebble({ httpPort: acmePort, eab: { "key-1": MAC }, profiles });
  const env = { CERTHERD_CA: pebble.directoryUrl, CERTHERD_CA_ROOT: pebble.rootPath };
  house = new Installation({ env: { ...env, CERTHERD_PREFLIGHT: "off" } });
}, 120_000);

afterAll(async () => {
  await house?.close();
  await pebble?.stop();
});

async function account(): Promise<CaReport | undefined> {
  return (await house.json<{ accounts: CaReport[] }>("account", "show")).accounts[0];
}

it("without the binding there is no certificate, and the sentence says what to set", async () => {
  expect(await account()).toMatchObject({ status: "not registered", account: null, key: null });
  const doctor = await house.run(["doctor"]);
  expect(doctor.stdout).toMatch(
    /^WRONG {2}ca \S+ +\S+ wants external account binding: set CERTHERD_EAB_KID/m,
  );
  const { code, stdout } = await house.run(["issue", "-d", "a.example", "--acme-port", `${acmePort}`]);
  expect(stdout).toContain("wants external account binding");
  expect(code).toBe(1);
});

it("with it there is one, of the profile that was asked for, and the account is shown without its key", async () => {
  Object.assign(house.env, { CERTHERD_EAB_KID: "key-1", CERTHERD_EAB_HMAC: MAC });
  const args = [
    "issue",
    "-d",
    "b.example",
    "--acme-port",
    `${acmePort}`,
    "--profile",
    "shortlived",
    "--json",
  ];
  const issued = JSON.parse((await house.run(args)).stdout) as { notBefore: string; notAfter: string };
  expect(Date.parse(issued.notAfter) - Date.parse(issued.notBefore)).toBeLessThan(7 * 86_400_000);
  const shown = await account();
  expect(shown).toMatchObject({ status: "valid", eabKid: "key-1", terms: { current: true } });
  const { code, stdout } = await house.run(["account", "show"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Status: +valid$/m);
  expect(stdout).toMatch(/^ {2}shortlived: +For six days$/m);
  expect(stdout).toMatch(/^Terms: +data:text.*\(agreed to on 20/m);
  const key = readFileSync(shown?.key?.file ?? "", "utf8");
  for (const line of key.split("\n").filter((each) => each.length > 20)) expect(stdout).not.toContain(line);
  expect(shown?.key?.file).toBe(join(house.home, "accounts", shown?.ca ?? "", "account.key"));
});

it("a profile that the CA does not offer is said with those that it offers", async () => {
  const { code, stdout } = await house.run([
    ...["issue", "-d", "c.example", "--acme-port", `${acmePort}`],
    ...["--profile", "tlsserver"],
  ]);
  expect(stdout).toContain('offers no profile "tlsserver": it offers classic, shortlived.');
  expect(code).toBe(1);
});

long("the terms can be agreed to by a person, too", async () => {
  const { stdout, code } = await house.run(["account", "agree"]);
  expect(stdout).toMatch(/^Agreed to the terms of service of \S+: data:text/);
  expect(code).toBe(0);
  expect(house.audited().at(-1)).toMatch(/^agree to terms ./);
  const wrong = await house.run(["account", "agree", "--terms", "https://ca.example/other"]);
  expect(wrong).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("not at https://ca.example/other"),
  });
  expect((await house.run(["account", "show", "nobody"])).code).toBe(2);
});

it("zerossl and google are not asked without their binding", async () => {
  const away = new Installation({ env: { CERTHERD_CA: "zerossl", CERTHERD_PREFLIGHT: "off" } });
  try {
    const { code, stderr } = await away.run(["issue", "-d", "a.example"]);
    expect(stderr).toContain("zerossl wants external account binding: set CERTHERD_EAB_KID");
    expect(code).toBe(2);
    expect((await away.run(["config", "check"])).stdout).toContain("WITHOUT the external account binding");
  } finally {
    await away.close();
  }
});
