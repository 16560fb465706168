/** What lies on a node under names as Certherd gives them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { Target } from "../../src/deploy/target.ts";
import { createFilesTarget } from "../../src/deploy/targets/files.ts";
import { createHaproxyTarget } from "../../src/deploy/targets/haproxy/target.ts";
import { renderServices } from "../../src/deploy/targets/stunnel/services.ts";
import { createStunnelTarget } from "../../src/deploy/targets/stunnel/target.ts";
import { tempDir } from "../support/temp.ts";

let folder: string;

beforeEach(() => {
  folder = tempDir("certherd-present");
});

async function present(target: Target): Promise<string[]> {
  const found: string[] = [];
  for await (const stem of target.present?.() ?? []) found.push(stem);
  return found.sort();
}

describe("files", () => {
  const targetOf = (format: "pem" | "separate") =>
    createFilesTarget({ kind: "files", folder, format, mode: "0600", timeout: 1_000 });

  it("are told by the file that has the key", async () => {
    for (const name of ["a.example.pem", "_.b.example.pem", "README", ".certherd-x.pem"])
      writeFileSync(join(folder, name), "");
    expect(await present(targetOf("pem"))).toEqual(["_.b.example", "a.example"]);
    for (const suffix of ["key", "cer", "ca.cer", "fullchain.cer"])
      writeFileSync(join(folder, `c.example.${suffix}`), "");
    expect(await present(targetOf("separate"))).toEqual(["c.example"]);
  });

  it("of a folder that is gone are an error that says so", async () => {
    folder = join(folder, "gone");
    await expect(present(targetOf("pem"))).rejects.toMatchObject({ code: "node_misconfigured" });
  });
});

it("HAProxy: the crt-list's entries in our folder, with options and without", async () => {
  const [crtList, certDir] = [join(folder, "certs.list"), join(folder, "certs")];
  mkdirSync(certDir);
  const lines = [
    "# a comment",
    `${certDir}/a.example.pem`,
    `${certDir}/_.b.example.pem [alpn h2] *.b.example`,
    "/etc/ssl/theirs.pem",
    `${certDir}/sub/c.example.pem`,
  ];
  writeFileSync(crtList, `${lines.join("\n")}\n`);
  const config = { kind: "haproxy", socket: "/nowhere", crtList, timeout: 1_000 } as const;
  for (const dir of [certDir, `${certDir}/`])
    expect(await present(createHaproxyTarget({ ...config, certDir: dir }))).toEqual([
      "_.b.example",
      "a.example",
    ]);
  const gone = createHaproxyTarget({ ...config, crtList: join(folder, "none"), certDir });
  await expect(present(gone)).rejects.toMatchObject({ code: "node_misconfigured" });
});

it("stunnel: the certificates of our services, each once, however many names it has", async () => {
  const services = join(folder, "services.conf");
  const config = {
    kind: "stunnel",
    config: join(folder, "stunnel.conf"),
    services,
    certDir: folder,
    master: "https",
    connect: "80",
    pidFile: "/nowhere",
    program: "stunnel",
    reloadEvery: 1_000,
  } as const;
  const pace = { rest: async () => 0, reloading: async () => undefined };
  const node = { address: "127.0.0.1", port: 1, verifyWithin: 1_000 };
  const target = createStunnelTarget(config, { pace, node, clock: { now: () => 0 } });
  expect(await present(target)).toEqual([]);
  const service = (id: string, name: string) => ({
    id,
    name,
    cert: join(folder, `${id}.pem`),
    connect: "80",
  });
  const ours = [
    service("a.example", "a.example"),
    service("a.example", "www.a.example"),
    service("_.b.example", "*.b.example"),
  ];
  writeFileSync(services, renderServices(ours, "https"));
  expect(await present(target)).toEqual(["_.b.example", "a.example"]);
  writeFileSync(services, "[theirs]\n");
  await expect(present(target)).rejects.toMatchObject({ code: "node_misconfigured" });
});
