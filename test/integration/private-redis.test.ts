/** The Redis that a home has of its own: started by whoever comes first, stopped by whoever leaves last. */
import { chmodSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import { ensurePrivateRedis, leavePrivateRedis, privateRedisSocket } from "../../src/store/private-redis.ts";
import { openCheckedRedis, type Redis } from "../../src/store/redis.ts";
import { startProcess } from "../support/process.ts";
import { removeDir, tempDir, waitUntil } from "../support/temp.ts";

const MODULE = new URL("../../src/store/private-redis.ts", import.meta.url).href;

let home: string;
let opened: Redis[];
let pids: Set<number>;

beforeAll(async () => {
  await ensureTools(["redis"]);
}, 120_000);

beforeEach(() => {
  home = tempDir("certherd-home");
  opened = [];
  pids = new Set();
});

afterEach(async () => {
  for (const redis of opened) redis.disconnect();
  await leavePrivateRedis(home);
  for (const pid of pids) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  await waitUntil(() => [...pids].every((pid) => !isAlive(pid)));
  removeDir(home);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function open(url: string): Promise<Redis> {
  const redis = await openCheckedRedis(url, "test");
  opened.push(redis);
  pids.add(await pidOf(redis));
  return redis;
}

async function pidOf(redis: Redis): Promise<number> {
  return Number(/process_id:(\d+)/.exec(await redis.info("server"))?.[1]);
}

function leave(redis: Redis): Promise<void> {
  redis.disconnect();
  return leavePrivateRedis(home);
}

describe("the private Redis of a home", () => {
  it("is one, however many come for it at once, from however many processes", async () => {
    const code = `import { ensurePrivateRedis } from "${MODULE}"; console.log(await ensurePrivateRedis(${JSON.stringify(home)}));`;
    const args = ["--import", "tsx", "--input-type=module", "-e", code];
    const cwd = fileURLToPath(new URL("../..", import.meta.url));
    const others = Array.from({ length: 2 }, () => startProcess(process.execPath, args, { cwd }));
    const urls = await Promise.all(Array.from({ length: 5 }, () => ensurePrivateRedis(home)));
    for (const other of others) {
      expect(await other.exited).toBe("exit code 0");
      urls.push(other.lines().at(-1) ?? "");
    }
    expect(new Set(urls).size).toBe(1);
    const redis = await open(urls[0] ?? "");
    await open(await ensurePrivateRedis(home));
    expect(pids.size).toBe(1);
    expect(existsSync(join(home, "redis", "start.lock"))).toBe(false);
    expect(await redis.ping()).toBe("PONG");
  });

  it("is this user's alone, keeps what it is given, and listens on no port", async () => {
    const redis = await open(await ensurePrivateRedis(home));
    expect(statSync(join(home, "redis")).mode & 0o777).toBe(0o700);
    expect(statSync(privateRedisSocket(home)).mode & 0o777).toBe(0o700);
    const settings = async (name: string) => ((await redis.config("GET", name)) as string[])[1];
    expect(await settings("appendonly")).toBe("yes");
    expect(await settings("maxmemory-policy")).toBe("noeviction");
    expect(await settings("port")).toBe("0");
  });

  it("comes back with its data after it was killed, over the socket that it left", async () => {
    const redis = await open(await ensurePrivateRedis(home));
    await redis.set("certificate", "issued");
    // As long as it is told to keep things for at most a second longer than their answer.
    await waitUntil(async () => /aof_pending_bio_fsync:0/.test(await redis.info("persistence")));
    const pid = await pidOf(redis);
    process.kill(pid, "SIGKILL");
    await waitUntil(() => !isAlive(pid));
    expect(existsSync(privateRedisSocket(home))).toBe(true);
    const again = await open(await ensurePrivateRedis(home));
    expect(await again.get("certificate")).toBe("issued");
    expect(await pidOf(again)).not.toBe(pid);
    // A connection of before finds it again by itself.
    expect(await redis.get("certificate")).toBe("issued");
  });

  it("is stopped by whoever leaves last, and not before; its data stays", async () => {
    const url = await ensurePrivateRedis(home);
    const [first, second] = [await open(url), await open(url)];
    const [pid = 0] = pids;
    await first.set("certificate", "issued");
    await leave(first);
    expect(await second.get("certificate")).toBe("issued");
    await leave(second);
    await waitUntil(() => !isAlive(pid));
    await leavePrivateRedis(home);
    const third = await open(await ensurePrivateRedis(home));
    expect(await third.get("certificate")).toBe("issued");
  });

  it("is not started by leaving", async () => {
    await leavePrivateRedis(home);
    expect(existsSync(privateRedisSocket(home))).toBe(false);
  });

  it("starts though one that was starting it has died", async () => {
    mkdirSync(join(home, "redis"), { mode: 0o700 });
    const dead = startProcess(process.execPath, ["-e", ""], { cwd: home });
    await dead.exited;
    writeFileSync(join(home, "redis", "start.lock"), String(dead.pid));
    expect(await (await open(await ensurePrivateRedis(home))).ping()).toBe("PONG");
  });

  it.each(["with spaces", "ümläut", "50%", "a#b?c"])("starts in a folder whose name is %j", async (name) => {
    home = join(home, name);
    mkdirSync(home);
    expect(await (await open(await ensurePrivateRedis(home))).ping()).toBe("PONG");
  });

  it("says where its log is when it cannot start", async () => {
    mkdirSync(join(home, "redis", "appendonlydir"), { recursive: true });
    writeFileSync(join(home, "redis", "appendonlydir", "appendonly.aof.manifest"), "file nonsense\n");
    await expect(ensurePrivateRedis(home)).rejects.toMatchObject({
      disposition: "unavailable",
      message: expect.stringMatching(
        /^The private Redis did not start \(it ended with code 1\); its log is .*redis\.log\.$/,
      ),
    });
    expect(existsSync(join(home, "redis", "start.lock"))).toBe(false);
  });
});

describe("a home with a path too long for a socket", () => {
  let short: string;

  beforeEach(() => {
    home = join(home, "x".repeat(60), "y".repeat(60));
    mkdirSync(home, { recursive: true, mode: 0o700 });
    short = dirname(privateRedisSocket(home));
  });

  afterEach(() => rmSync(short, { recursive: true, force: true }));

  it("has its socket in a folder of this user's among the temporary ones, and its data at home", async () => {
    expect(short).toMatch(new RegExp(`^${tmpdir()}/certherd-\\d+-[0-9a-f]{16}$`));
    const redis = await open(await ensurePrivateRedis(home));
    expect(statSync(short).mode & 0o777).toBe(0o700);
    await redis.set("a", "1");
    expect(existsSync(join(home, "redis", "appendonlydir"))).toBe(true);
    await leave(redis);
    await waitUntil(() => [...pids].every((pid) => !isAlive(pid)));
  });

  it("refuses a folder there that others can write to, as the socket in it may be theirs", async () => {
    mkdirSync(short, { mode: 0o777 });
    chmodSync(short, 0o777);
    await expect(ensurePrivateRedis(home)).rejects.toMatchObject({
      disposition: "unavailable",
      message: expect.stringContaining(short),
    });
  });
});
