import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { tempDir } from "../../support/temp.ts";

const dir = tempDir("certherd-config-webhooks");
const secretFile = join(dir, "secret");
let count = 0;

function load(...webhooks: Record<string, unknown>[]) {
  const path = join(dir, `${count++}.yaml`);
  writeFileSync(path, JSON.stringify({ webhooks }));
  return loadConfig({ CERTHERD_CONFIG: path }).webhooks;
}

const hook = { name: "crm", url: "https://crm.example/hook", secretFile, events: ["issued"] };
const secret = (text: string): void => writeFileSync(secretFile, text);
const fault = (message: RegExp) => expect.objectContaining({ message: expect.stringMatching(message) });

it("are read with their secret", () => {
  secret(`whsec_${Buffer.alloc(32, 1).toString("base64")}\n`);
  expect(load(hook)).toEqual([
    { name: "crm", url: hook.url, secret: Buffer.alloc(32, 1), events: new Set(["issued"]) },
  ]);
  expect(loadConfig({}).webhooks).toEqual([]);
});

it("are refused with what is wrong, and never with the secret", () => {
  expect(() => load(hook, hook)).toThrow(fault(/Two webhooks have the name crm/));
  expect(() => load({ ...hook, events: ["nonsense"] })).toThrow(fault(/webhooks\.0\.events\.0/));
  expect(() => load({ ...hook, url: "ftp://crm.example/" })).toThrow(fault(/webhooks\.0\.url/));
  expect(() => load({ ...hook, url: "https://u:p@crm.example/" })).toThrow(
    fault(/leave user and password out/),
  );
  expect(() => load({ ...hook, secretFile: join(dir, "none") })).toThrow(fault(/crm cannot be read/));
  secret("too-short");
  expect(() => load(hook)).toThrow(fault(/^(?!.*too-short).*make one with: echo "whsec_/));
});
