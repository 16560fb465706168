/** A process that opens its CA account once: `account-opener.ts DIRECTORY ROOT HOME`. Writes the account's URL. */
import { readFileSync } from "node:fs";
import { openAccount } from "../../src/acme/account.ts";
import { openEndpoint } from "../../src/acme/transport.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { AccountFiles } from "../../src/store/accounts.ts";

const [directory = "", rootPath = "", home = ""] = process.argv.slice(2);
const root = readFileSync(rootPath, "utf8");
const close = openEndpoint({ directory, root, userAgent: "certherd-test" });
const files = new AccountFiles(home);
process.stdout.write("ready\n");
await openAccount({ name: "pebble", directory, root }, files, () => generateKey("ec256"), Date.now());
process.stdout.write(`${(await files.load("pebble"))?.url}\n`);
close();
