import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStage, type Stage } from "../../scripts/stage.ts";
import { byStatus, Installation } from "../support/certherd.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";

const BLOCKED = "blocked.moo.com";
const UNRESOLVED = "gone.moo.com";

interface ImportDocument {
  rows: number;
  accepted: number;
  duplicates: number;
  unchanged: number;
  rejected: { line: number; domain: string; column: string; value: string; reason: string }[];
  certificates: { name: string; status: string; until?: string; error?: { code: string; type: string } }[];
}

describe("a CSV becomes certificates", () => {
  let stage: Stage;
  let house: Installation;
  let document: ImportDocument;
  let csv: string;

  beforeAll(async () => {
    stage = await openStage({ gate: false, blocklist: [BLOCKED] });
    await stage.pebble.dns.setServfail(UNRESOLVED);
    house = new Installation(stage);
    const tail = `443,${stage.acmePort},certs@lb.example,ops@lb.example,127.0.0.1,${stage.smtp.port}`;
    csv = house.csv("domains.csv", [
      "DOMAIN,VIPPort,ACMEPort,FROMAddr,TOAddr,RELAYAddr,RELAYPort",
      `foo.moo.com,${tail}`,
      `example.com www.example.com;static.example.com,${tail}`,
      `bücher.example.net,${tail}`,
      `FOO.moo.com.,${tail}`,
      `bad_name.moo.com,443,99999`,
      `${UNRESOLVED},${tail}`,
      `${BLOCKED},${tail}`,
    ]);
    const { code, stdout } = await house.run(["import", csv, "--wait", "--json"]);
    expect(code).toBe(1);
    document = JSON.parse(stdout);
  });

  afterAll(async () => {
    await house?.close();
    await stage?.close();
  });

  const folder = (name: string): string => join(house.home, "certificates", name);

  it("answers with the import's document", () => {
    expect(document).toMatchObject({ rows: 7, accepted: 5, duplicates: 1, unchanged: 0 });
    expect(document.rejected.map(({ line, column }) => [line, column])).toEqual([
      [6, "DOMAIN"],
      [6, "ACMEPort"],
    ]);
    expect(byStatus(document.certificates)).toEqual({ issued: 3, waiting: 1, attention: 1 });
  });

  it("says of each failure what the CA said, and when it goes on", () => {
    const of = (name: string) => document.certificates.find((certificate) => certificate.name === name);
    expect(of(UNRESOLVED)?.error?.type).toMatch(/^urn:ietf:params:acme:error:(dns|connection)$/);
    expect(Date.parse(of(UNRESOLVED)?.until ?? "")).toBeGreaterThan(Date.now() - 60_000);
    expect(of(BLOCKED)?.error).toMatchObject({ code: "rejected_identifier" });
  });

  it("writes files that openssl accepts, keys for their owner alone", async () => {
    const roots = join(tempDir("certherd-roots-"), "roots.pem");
    writeFileSync(roots, await stage.pebble.issuedRootPem());
    for (const name of ["foo.moo.com", "example.com", "xn--bcher-kva.example.net"]) {
      const chain = join(folder(name), "ca.cer");
      const leaf = join(folder(name), `${name}.cer`);
      const args = ["verify", "-CAfile", roots, "-untrusted", chain, leaf];
      expect(execFileSync("openssl", args, { encoding: "utf8" })).toContain("OK");
      expect(statSync(join(folder(name), `${name}.key`)).mode & 0o777).toBe(0o600);
      expect(statSync(folder(name)).mode & 0o777).toBe(0o700);
      expect(readdirSync(folder(name)).sort()).toEqual(
        ["ca.cer", "certificate.json", "fullchain.cer", `${name}.cer`, `${name}.key`].sort(),
      );
    }
  });

  it("lists serials as openssl prints them", async () => {
    const listed = (await house.list()).find(({ name }) => name === "foo.moo.com");
    const printed = execFileSync("openssl", [
      "x509",
      "-noout",
      "-serial",
      "-in",
      join(folder("foo.moo.com"), "foo.moo.com.cer"),
    ]);
    expect(`serial=${listed?.serial}`).toBe(printed.toString().trim());
  });

  it("serves with openssl s_server", async () => {
    const port = await freePort();
    const files = [
      "-cert",
      join(folder("example.com"), "fullchain.cer"),
      "-key",
      join(folder("example.com"), "example.com.key"),
    ];
    const server = spawn("openssl", ["s_server", "-quiet", "-accept", `127.0.0.1:${port}`, ...files], {
      stdio: "ignore",
    });
    try {
      const ask = ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "www.example.com"];
      const shown = await waitUntil(
        () =>
          execFileSync("openssl", ask, { input: "", encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] }),
        { timeoutMs: 5_000, what: "s_server to answer" },
      );
      expect(shown).toContain("BEGIN CERTIFICATE");
    } finally {
      server.kill("SIGKILL");
      await once(server, "exit");
    }
  });

  it("sends one digest through the row's relay, and tells at once what needs a person", async () => {
    await stage.smtp.waitFor(2, 20_000);
    const digest = stage.smtp.messages.find(({ subject }) => subject.includes("3 issued"));
    expect(digest).toMatchObject({ from: "certs@lb.example", to: ["ops@lb.example"] });
    for (const name of ["foo.moo.com", "xn--bcher-kva.example.net", UNRESOLVED, BLOCKED])
      expect(digest?.text).toContain(name);
    expect(digest?.html).toContain("foo.moo.com");
    expect(stage.smtp.messages.some(({ subject }) => subject.includes(BLOCKED))).toBe(true);
  });

  it("writes the lines that people grep for", () => {
    expect(house.log()).toMatch(
      /^\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ lb-letsencrypt: Successfully issued and uploaded new cert foo\.moo\.com, finished$/m,
    );
    expect(house.log()).toContain(
      `Failed to issue certificate for ${BLOCKED}, check external access on port 80 and that DNS has been configured.`,
    );
  });

  it("orders nothing anew for the same file, but tries again what has failed", async () => {
    const before = stage.pebble.requests().newOrder ?? 0;
    const again = await house.json<ImportDocument>("import", csv, "--wait");
    expect(again).toMatchObject({ accepted: 2, unchanged: 3, duplicates: 1 });
    await waitUntil(() => (stage.pebble.requests().newOrder ?? 0) >= before + 2, { what: "Pebble's log" });
    // One more each for a nonce that Pebble refuses on purpose.
    expect(stage.pebble.requests().newOrder ?? 0).toBeLessThanOrEqual(before + 4);
  });

  it("writes rejected rows so that they can be mended and imported again", async () => {
    const rejected = readFileSync(`${csv}.rejected.csv`, "utf8");
    expect(rejected).toContain("bad_name.moo.com,443,99999");
    const mended = house.csv("mended.csv", [
      rejected.trim().replace("bad_name", "good-name").replace("99999", String(stage.acmePort)),
    ]);
    const result = await house.json<ImportDocument>("import", mended, "--wait");
    expect(result).toMatchObject({ rows: 1, accepted: 1, rejected: [] });
  });

  it("shows the same list after losing Redis", async () => {
    const before = await house.list();
    await house.close();
    rmSync(join(house.home, "redis"), { recursive: true });
    mkdirSync(join(house.home, "redis"));
    expect(await house.list()).toEqual(before);
  });

  it("leaves no private key in Redis or in a log", async () => {
    const found = (path: string): string[] =>
      readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
        const inner = join(path, entry.name);
        if (entry.isDirectory()) return found(inner);
        return entry.isFile() && readFileSync(inner, "latin1").includes("PRIVATE KEY") ? [inner] : [];
      });
    const files = found(house.home).map((path) => path.slice(house.home.length + 1));
    expect(files.filter((path) => !path.endsWith(".key"))).toEqual([]);
    expect(files.length).toBeGreaterThan(3);
  });
});
