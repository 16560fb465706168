/** Whether names lead here, asked over HTTP: a real name server, a real responder, and nothing ordered. */

import { readdirSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import type { TriageLine, TriageReport } from "../../src/api/schemas/triage.ts";
import { startRoles } from "../../src/runtime/up.ts";
import { domains, problem, startTestApi, type TestApi, TOKENS } from "../support/api.ts";
import { type FakeDns, startFakeDns } from "../support/challtestsrv.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { freePort, tempDir, waitUntil } from "../support/temp.ts";

const VIP = "127.0.0.1";

let server: RedisServer;
let dns: FakeDns;
let stopDns: () => Promise<void>;
let api: TestApi;
let acmePort: number;
let stopResponder: () => Promise<void>;

beforeAll(async () => {
  await ensureTools(["redis"]);
  server = await startRedis();
  const started = await startFakeDns(tempDir("certherd-triage"));
  dns = started.dns;
  stopDns = () => started.server.stop();
}, 300_000);

afterAll(async () => {
  await stopDns();
  await server.stop();
});

beforeEach(async () => {
  acmePort = await freePort();
  api = await startTestApi(server.url, {
    yaml: `vips: [${VIP}]`,
    env: {
      CERTHERD_DNS: dns.address,
      CERTHERD_HTTP_PORT: String(acmePort),
      // Nobody listens there: the CA's directory is of no use to this.
      CERTHERD_CA: "https://127.0.0.1:9/directory",
    },
  });
  await api.house.redis.flushall();
  stopResponder = async () => undefined;
});

afterEach(async () => {
  await stopResponder();
  await api.stop();
  await dns.setDefaultA(VIP);
});

async function respond(): Promise<void> {
  const service = await startRoles(api.house, ["respond"]);
  stopResponder = () => service.close();
}

const rows = (names: readonly string[]): string => names.map((name) => `${name},443,${acmePort}\n`).join("");

async function triage(csv: string): Promise<TriageLine[]> {
  const answer = await api.ask("/v1/triage", { csv, token: TOKENS.enqueue });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
  const text = await answer.text();
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as TriageLine);
}

function reportOf(lines: readonly TriageLine[]): TriageReport {
  const last = lines.at(-1);
  if (last && "triage" in last) return last.triage;
  throw new Error(`no report: ${JSON.stringify(last)}`);
}

describe("POST /v1/triage", () => {
  it("tells who leads here, who does not and why, and leaves nothing behind", async () => {
    await respond();
    await dns.addA("away.example.com", ["127.0.0.9"]);
    const before = (await api.house.redis.keys("*")).sort();
    const lines = await triage(
      `${rows(domains(300))}away.example.com,443,${acmePort},f@x.example,to@x.example,mx.x.example\nbad_name\n`,
    );
    expect(lines[0]).toEqual({ progress: { done: 0, total: 301 } });
    expect(reportOf(lines)).toEqual({
      certificates: 301,
      ready: 300,
      customer: 1,
      node: 0,
      blocked: 0,
      rejected: 1,
      waiting: [
        {
          name: "away.example.com",
          domain: "example.com",
          kind: "customer",
          detail: expect.stringContaining("127.0.0.9"),
          records: [
            expect.objectContaining({ name: "away.example.com", type: "A", set: VIP, today: "127.0.0.9" }),
          ],
          mail: "to@x.example",
        },
      ],
    });
    const left = new Set(["{certherd}:preflight:passed", "{certherd}:acmeports"]);
    const after = (await api.house.redis.keys("*")).filter((key) => !left.has(key) && !before.includes(key));
    expect(after).toEqual([]);
    expect(await api.house.certificates.count()).toBe(0);
    expect(readdirSync(api.home)).not.toContain("imports");
  });

  it("connects to no address that is private and no VIP", async () => {
    await respond();
    let connections = 0;
    // The same port on another address of this machine.
    const trap: Server = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => trap.listen(acmePort, "127.0.0.9", resolve));
    try {
      await dns.setDefaultA("127.0.0.9");
      const report = reportOf(await triage(rows(["a.example.com", "b.example.com"])));
      expect(report).toMatchObject({ customer: 2, ready: 0 });
      expect(connections).toBe(0);
    } finally {
      trap.close();
    }
  });

  it("needs a responder, and a CSV", async () => {
    await problem(await api.ask("/v1/triage", { csv: rows(["a.example.com"]) }), 503, "no_responder");
    await respond();
    await problem(await api.ask("/v1/triage", { csv: "{}\n" }), 422, "csv_format");
    await problem(await api.ask("/v1/triage", { json: {} }), 415, "media_type");
    const read = await api.ask("/v1/triage", { csv: "a.example.com\n", token: TOKENS.read });
    await problem(read, 403, "forbidden");
    expect(reportOf(await triage("bad_name\n"))).toMatchObject({ certificates: 0, rejected: 1, waiting: [] });
  });

  it("takes two at once, and ends when the caller hangs up", async () => {
    await respond();
    const blocker: Server = createServer(() => undefined);
    await new Promise<void>((resolve) => blocker.listen(0, "127.0.0.1", resolve));
    const port = (blocker.address() as { port: number }).port;
    const hangUp = new AbortController();
    const start = async () => {
      const answer = await fetch(`${api.url}/v1/triage`, {
        method: "POST",
        headers: { authorization: `Bearer ${TOKENS.admin}`, "content-type": "text/csv" },
        body: `a.example.com,443,${port}\n`,
        signal: hangUp.signal,
      });
      expect(answer.status).toBe(200);
      return answer;
    };
    try {
      await Promise.all([start(), start()]);
      const third = await api.ask("/v1/triage", { csv: rows(["a.example.com"]) });
      await problem(third, 429, "too_many_triages");
      expect(third.headers.get("retry-after")).toBe("30");
      hangUp.abort();
      await waitUntil(async () => (await api.ask("/v1/triage", { csv: "bad_name\n" })).status === 200, {
        what: "a place",
      });
      await waitUntil(() => !readdirSync(api.home).some((name) => name.startsWith(".dry-run")), {
        what: "the files to be gone",
      });
    } finally {
      blocker.close();
    }
  });
});
