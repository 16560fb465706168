/** A Redis in cluster mode: it refuses whatever touches keys of more than one slot, be it by one script or one pipeline. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { ensureTools } from "../../scripts/tools.ts";
import { csvOf, domains, startTestApi, type TestApi } from "../support/api.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { waitUntil } from "../support/temp.ts";

const NAME = "host-00000.example.com";

let server: RedisServer;
let api: TestApi;

beforeAll(async () => {
  await ensureTools(["redis"]);
  server = await startRedis({ args: ["--cluster-enabled", "yes"] });
  const client = server.client();
  await client.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await waitUntil(async () => String(await client.call("CLUSTER", "INFO")).includes("cluster_state:ok"), {
    what: "the cluster",
  });
  api = await startTestApi(server.url);
});

afterAll(async () => {
  await api.stop();
  await server.stop();
});

it("serves all that is asked over HTTP", async () => {
  const taken = await api.ask("/v1/imports", { csv: csvOf(domains(3)) });
  expect(taken.status).toBe(202);
  const id = taken.headers.get("location");
  const act = async (action: string) => {
    const answer = await api.ask("/v1/certificates/actions", { json: { action, names: [NAME] } });
    expect(await answer.json()).toMatchObject({ done: 1 });
  };
  await act("pause");
  await act("resume");
  for (const path of [
    "/v1/certificates",
    "/v1/certificates?status=queued&q=host",
    "/v1/certificates?q=example",
    "/v1/certificates?sort=expires&status=queued",
    "/v1/certificates?sort=renews&order=desc",
    "/v1/certificates?status=waiting&reason=limit",
    `/v1/certificates/${NAME}`,
    "/v1/overview",
    "/v1/limits",
    "/v1/audit",
    "/v1/imports",
    `${id}`,
    `${id}/progress`,
    `${id}/report.csv`,
    "/metrics",
    "/queues/api/queues",
  ]) {
    const answer = await api.ask(path);
    expect([path, answer.status]).toEqual([path, 200]);
    await answer.arrayBuffer();
  }
  await act("remove");
  expect(api.lines.filter((line) => line.includes("CROSSSLOT"))).toEqual([]);
});
