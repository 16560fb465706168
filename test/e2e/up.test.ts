/** `certherd up` and the process of the API that is a part of it: they start, fail and end together. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { exitOf, openStage, type Stage, startCertherd, stopProcess } from "../../scripts/stage.ts";
import { Installation } from "../support/certherd.ts";
import { untilReady } from "../support/http.ts";
import { freePort, waitUntil } from "../support/temp.ts";

let stage: Stage;
let house: Installation;
let up: ChildProcess | undefined;

beforeAll(async () => {
  stage = await openStage({ gate: false });
  house = new Installation(stage);
});
afterEach(async () => {
  if (up) await stopProcess(up);
  up = undefined;
});
afterAll(async () => {
  await house?.close();
  await stage?.close();
});

const url = (): string => `http://${house.env.CERTHERD_LISTEN}`;
const log = (): string => readFileSync(join(house.home, "up.log"), "utf8");

async function start(): Promise<ChildProcess> {
  up = startCertherd(["up"], house.env, join(house.home, "up.log"));
  await untilReady(url());
  return up;
}

/** The process of the API, by its parent (proc(5)). */
function partOf({ pid }: ChildProcess): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
  const found = children.find((child) =>
    readFileSync(`/proc/${child}/cmdline`, "utf8").includes("apart.js\0api"),
  );
  if (found === undefined) throw new Error("up has no process of the API");
  return found;
}

async function untilRefused(): Promise<void> {
  const refused = (): Promise<boolean> =>
    fetch(`${url()}/healthz`).then(
      () => false,
      () => true,
    );
  await waitUntil(refused, { timeoutMs: 5_000, what: "the end of the API" });
}

describe("the API's own process", () => {
  it("is started again when it dies, and what is issued meanwhile is not disturbed", async () => {
    const running = await start();
    const first = partOf(running);
    process.kill(first, "SIGKILL");
    await untilRefused();
    const { code } = await house.run(["issue", "-d", "apart.example", "--acme-port", `${stage.acmePort}`]);
    expect(code).toBe(0);
    await untilReady(url());
    expect(partOf(running)).not.toBe(first);
    expect(log()).toContain("The process of api has ended (SIGKILL); it is started again in 1 s.");
  });

  it("ends with one that is killed, so that the next one finds the port free", async () => {
    const running = await start();
    running.kill("SIGKILL");
    await exitOf(running);
    await untilRefused();
    await start();
  });

  it("leaves signals to the one that it belongs to, which ends both in order", async () => {
    const running = await start();
    const part = partOf(running);
    // As a terminal sends it to both.
    process.kill(part, "SIGINT");
    expect((await fetch(`${url()}/healthz`)).status).toBe(200);
    running.kill("SIGINT");
    expect(await exitOf(running)).toBe(0);
    await expect(fetch(`${url()}/healthz`)).rejects.toThrow();
    expect(() => process.kill(part, 0)).toThrow();
  });
});

describe("what the API cannot start for", () => {
  let other: Server | undefined;
  afterEach(() => other?.close());

  it("is why `up` ends, said once, with its own exit code", async () => {
    const port = await freePort();
    other = createServer().listen(port, "127.0.0.1");
    const child = spawn(process.execPath, [join(import.meta.dirname, "../../bin/certherd.js"), "up"], {
      env: { ...process.env, ...house.env, CERTHERD_LISTEN: `127.0.0.1:${port}` },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    expect(await exitOf(child)).toBe(2);
    const lines = stderr.trimEnd().split("\n");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\S+Z Port \d+ on 127\.0\.0\.1 is taken; set CERTHERD_LISTEN/);
  });
});
