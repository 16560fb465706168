import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import type { CommandTarget } from "../../src/config/terminations.ts";
import type { Bundle, Examined } from "../../src/deploy/target.ts";
import { createCommandTarget } from "../../src/deploy/targets/command.ts";
import { lastLines, run } from "../../src/deploy/targets/run.ts";
import { setPaths } from "../../src/store/layout.ts";
import { makeRenewal } from "../support/bundles.ts";
import { makeTestCa, type TestCa } from "../support/chains.ts";
import { tempDir } from "../support/temp.ts";

const dir = tempDir("certherd-command-target");
let ca: TestCa;
let first: Bundle;
let renewed: Bundle;
let second: Bundle;
/** A folder of each test's own. */
let place: string;
let tests = 0;

beforeAll(async () => {
  ca = await makeTestCa();
  ({ first, renewed, second } = await makeRenewal(ca));
});

afterAll(() => ca.stop());

beforeEach(() => {
  place = join(dir, `${tests++}`);
  mkdirSync(place);
  for (const bundle of [renewed, second]) store(bundle);
});

function paths(id: string) {
  return setPaths(join(place, "store", id), id);
}

/** Puts a certificate's files where the store has them. */
function store({ id, leafPem, keyPem, issuersPem }: Bundle): void {
  const { cert, key, ca: issuers, fullchain } = paths(id);
  mkdirSync(dirname(cert), { recursive: true });
  writeFileSync(cert, leafPem);
  writeFileSync(key, keyPem);
  writeFileSync(issuers, issuersPem);
  writeFileSync(fullchain, leafPem + issuersPem);
}

function script(body: string): string {
  const path = join(place, `script-${readdirSync(place).length}.sh`);
  writeFileSync(path, `#!/bin/sh\ncd ${place}\n${body}\n`, { mode: 0o755 });
  return path;
}

function targetOf(changes: Partial<CommandTarget> & Pick<CommandTarget, "run">) {
  return createCommandTarget({ kind: "command", timeout: 10_000, ...changes }, { paths });
}

function lines(name: string): string[] {
  return existsSync(join(place, name)) ? readFileSync(join(place, name), "utf8").trim().split("\n") : [];
}

async function examineAll(changes: Parameters<typeof targetOf>[0]): Promise<Examined[]> {
  const found: Examined[] = [];
  for await (const each of targetOf(changes).examine()) found.push(each);
  return found;
}

it("runs a program for each certificate, with its names and paths and nothing of our own environment", async () => {
  vi.stubEnv("CERTHERD_STORE_KEY", "secret");
  const target = targetOf({
    run: [script('env > "env-$CERTHERD_SERIAL"; cp "$CERTHERD_KEY" "key-$CERTHERD_SERIAL"')],
  });
  expect(await target.put([renewed, second])).toEqual(new Map());
  vi.unstubAllEnvs();
  const env = Object.fromEntries(lines("env-0A1C").map((line) => line.split(/=(.*)/s).slice(0, 2)));
  // What sh itself adds.
  for (const own of ["PWD", "OLDPWD", "_", "SHLVL"]) delete env[own];
  for (const ours of ["PATH", "HOME", "LANG"]) delete env[ours];
  const { cert, key, ca: issuers, fullchain } = paths("_.a.example");
  expect(env).toEqual({
    CERTHERD_NAME: "*.a.example",
    CERTHERD_NAMES: "*.a.example a.example",
    CERTHERD_SERIAL: "0A1C",
    CERTHERD_CERT: cert,
    CERTHERD_KEY: key,
    CERTHERD_CA: issuers,
    CERTHERD_FULLCHAIN: fullchain,
  });
  expect(readFileSync(join(place, "key-77"), "utf8")).toBe(second.keyPem);
});

it("is never a shell's line: neither arguments nor values are looked into", async () => {
  const evil = `$(touch ${place}/evil) \`touch ${place}/evil\`; touch ${place}/evil`;
  const target = targetOf({ run: [script('printf "%s\\n" "$1" "$CERTHERD_NAME" > said'), evil] });
  expect(await target.put([{ ...second, names: [evil] }])).toEqual(new Map());
  expect(lines("said")).toEqual([evil, evil]);
  expect(existsSync(join(place, "evil"))).toBe(false);
});

it("gives copies of what the store does not hold, this user's alone, and takes them away again", async () => {
  const target = targetOf({
    run: [
      script(
        'cat "$CERTHERD_KEY" "$CERTHERD_CERT" "$CERTHERD_CA" > given; cat "$CERTHERD_FULLCHAIN" > chain; stat -c %a "$CERTHERD_KEY" "$(dirname "$CERTHERD_KEY")" > modes; echo "$CERTHERD_KEY" > where',
      ),
    ],
  });
  // As when the one before is given back: the store has the renewed one already.
  await target.put([first]);
  expect(lines("given").join("\n")).toBe((first.keyPem + first.leafPem + first.issuersPem).trim());
  expect(lines("chain").join("\n")).toBe((first.leafPem + first.issuersPem).trim());
  expect(lines("modes")).toEqual(["600", "700"]);
  const [where = ""] = lines("where");
  expect(where.startsWith(tmpdir())).toBe(true);
  expect(existsSync(dirname(where))).toBe(false);
});

it("tells for each that failed what its program said last", async () => {
  const target = targetOf({
    run: [
      script('[ "$CERTHERD_NAME" = b.example ] || exit 0; printf "bad\\033[0m\\nvery bad\\n" >&2; exit 7'),
    ],
  });
  const failures = await target.put([renewed, second]);
  expect([...failures.keys()]).toEqual(["b.example"]);
  expect(failures.get("b.example")).toMatchObject({
    code: "command_failed",
    disposition: "retry",
    message: expect.stringMatching(/ended with exit code 7\. It said: bad \[0m\nvery bad$/),
  });
});

it("tells nothing of a key that a program prints", async () => {
  const target = targetOf({ run: [script('echo before; cat "$CERTHERD_KEY"; echo after; exit 1')] });
  const { message } = (await target.put([second])).get("b.example") ?? { message: "" };
  expect(message).toMatch(/before\n\(PEM\)\nafter$/);
  const half = second.keyPem.slice(40);
  expect(lastLines(`${half}after`)).toBe("(PEM)\nafter");
  expect(lastLines(`before\n${second.keyPem.slice(0, 120)}`)).toBe("before\n(PEM)");
});

it("keeps 20 lines and 2,000 characters of it", () => {
  const many = Array.from({ length: 100 }, (_, index) => `line ${index}`);
  expect(lastLines(many.join("\n")).split("\n")).toEqual(many.slice(-20));
  expect(lastLines("x y".repeat(5_000))).toHaveLength(2_000);
});

it("kills the whole process group at the time limit, those that ignore SIGTERM too", async () => {
  const target = targetOf({
    run: [
      script(
        `sh -c 'trap "" TERM; while :; do sleep 0.05; date +%N >> beats; done' &\ntouch "$CERTHERD_SERIAL"; sleep 100`,
      ),
    ],
    timeout: 400,
  });
  const failures = await target.put([second]);
  expect(failures.get("b.example")).toMatchObject({
    code: "command_failed",
    disposition: "retry",
    message: expect.stringContaining("did not end within 0.4 s and was killed"),
  });
  expect(lines("beats").length).toBeGreaterThan(0);
  const { size } = statSync(join(place, "beats"));
  await sleep(300);
  expect(statSync(join(place, "beats")).size).toBe(size);
});

it("does not wait for a daemon that a program has left behind with its output", async () => {
  const { ok, output } = await run(["sh", "-c", "sleep 60 & echo $!"], { timeout: 10_000 });
  expect(ok).toBe(true);
  expect(process.kill(Number(output))).toBe(true);
});

it("runs four at a time", async () => {
  const target = targetOf({
    // Each waits until four of them have come.
    run: [
      script(
        'touch "here-$CERTHERD_NAME"; while [ "$(ls | grep -c ^here-)" -lt 4 ]; do sleep 0.02; done; ls running-* 2>/dev/null | wc -l >> seen; touch "running-$$"; sleep 0.1; rm "running-$$"',
      ),
    ],
  });
  const many = Array.from({ length: 8 }, (_, index) => ({ ...second, id: `${index}`, names: [`${index}`] }));
  expect(await target.put(many)).toEqual(new Map());
  expect(lines("seen")).toHaveLength(8);
  expect(Math.max(...lines("seen").map(Number))).toBeLessThan(4);
});

it("is this node's fault where the program is not there, and none is left running", async () => {
  const target = targetOf({ run: [join(place, "none")] });
  await expect(target.put([renewed, second])).rejects.toMatchObject({
    code: "node_misconfigured",
    disposition: "node",
    message: expect.stringContaining(join(place, "none")),
  });
  writeFileSync(join(place, "plain"), "no program", { mode: 0o644 });
  await expect(targetOf({ run: [join(place, "plain")] }).put([second])).rejects.toMatchObject({
    code: "node_misconfigured",
  });
});

it("runs the other program for a removal, and none where there is none", async () => {
  const target = targetOf({
    run: ["false"],
    remove: [script('echo "$CERTHERD_NAME $CERTHERD_NAMES $CERTHERD_CERT$CERTHERD_SERIAL" >> gone')],
  });
  expect(await target.remove([renewed])).toEqual(new Map());
  expect(lines("gone")).toEqual([`*.a.example *.a.example a.example ${paths("_.a.example").cert}`]);
  expect(await targetOf({ run: ["false"] }).remove([renewed])).toEqual(new Map());
  const failing = await targetOf({ run: ["true"], remove: ["false"] }).remove([second]);
  expect(failing.get("b.example")).toMatchObject({
    code: "command_failed",
    message: expect.stringContaining("It said nothing"),
  });
});

it("is examined without being run", async () => {
  const path = script("touch ran");
  expect(await examineAll({ run: [path], remove: ["sh"] })).toMatchObject([{ ok: true }, { ok: true }]);
  expect(await examineAll({ run: ["no-such-program"] })).toMatchObject([{ what: "program", ok: false }]);
  expect(existsSync(join(place, "ran"))).toBe(false);
});
