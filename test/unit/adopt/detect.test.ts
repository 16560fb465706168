import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import { detectHome } from "../../../src/adopt/detect.ts";
import { type ForeignCertificate, writeAcmeSh, writeCertbot } from "../../support/foreign-homes.ts";
import { tempDir } from "../../support/temp.ts";

const FIXTURE = fileURLToPath(new URL("../../../fixtures/adopt/acme.sh", import.meta.url));
const CERT: ForeignCertificate = {
  names: ["a.example"],
  leafPem: "leaf\n",
  issuersPem: "issuer\n",
  keyPem: "key\n",
  directory: "https://ca.example/dir",
};

let path: string;

beforeEach(() => {
  path = tempDir("certherd-detect");
});

describe("whose home a folder is", () => {
  it("acme.sh's, as acme.sh wrote it", async () => {
    expect((await detectHome(FIXTURE)).kind).toBe("acme.sh");
  });

  it("acme.sh's, with nothing but its certificates", async () => {
    writeAcmeSh(path, CERT);
    const home = await detectHome(path);
    expect(home.kind).toBe("acme.sh");
    expect(await home.entries()).toEqual(["a.example_ecc"]);
  });

  it("certbot's, also where only its archive is left", async () => {
    writeCertbot(path, CERT);
    expect((await detectHome(path)).kind).toBe("certbot");
  });

  it("nobody's, with a word on where one is near", async () => {
    await expect(detectHome(path)).rejects.toMatchObject({ code: "adopt_no_home", disposition: "usage" });
    mkdirSync(join(path, ".acme.sh"));
    writeFileSync(join(path, ".acme.sh/account.conf"), "");
    await expect(detectHome(path)).rejects.toThrow(/Did you mean .*\.acme\.sh\?/);
    await expect(detectHome(join(path, "nowhere"))).rejects.toMatchObject({ code: "adopt_no_home" });
  });

  it("acme.sh's certificates are where account.conf says", async () => {
    const elsewhere = tempDir("certherd-certs");
    writeAcmeSh(elsewhere, CERT);
    writeFileSync(join(path, "account.conf"), `CERT_HOME='${elsewhere}'\n`);
    expect(await (await detectHome(path)).entries()).toEqual(["a.example_ecc"]);
  });
});
