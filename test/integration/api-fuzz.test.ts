/** Whatever is sent to any route, it answers as /openapi.json says, and is still there afterwards. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { ensureTools } from "../../scripts/tools.ts";
import { type ProblemBody, startTestApi, type TestApi } from "../support/api.ts";
import { type FuzzedRequest, fuzzed } from "../support/fuzz.ts";
import { type Route, routesOf } from "../support/openapi.ts";
import { randomFrom } from "../support/random.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

/** Another one finds other things: FUZZ_SEED. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_260_828);
/** Requests to each route. */
const EACH = Number(process.env.FUZZ_EACH ?? 40);
const AT_ONCE = 8;

let server: RedisServer;
let api: TestApi;
/** Documented ones; a code of the CA's own is any small word. */
const codes = new Set(
  [...readFileSync("docs/errors.md", "utf8").matchAll(/`([a-z_]+)`/g)].map(([, code = ""]) => code),
);

beforeAll(async () => {
  await ensureTools(["redis"]);
  server = await startRedis();
  // Nothing there can be reached: no name server, and no CA.
  const env = { CERTHERD_DNS: "127.0.0.1:9", CERTHERD_CA: "https://127.0.0.1:9/directory" };
  api = await startTestApi(server.url, { env });
});

afterAll(async () => {
  await api.stop();
  await server.stop();
});

async function seed(): Promise<string[]> {
  const names = ["a.example.com", "b.example.com", "c.example.com"];
  const csv = `${names.join("\n")}\nbad_name\n`;
  const answer = await api.ask("/v1/imports", { csv });
  const { import: id } = (await answer.json()) as { import: string };
  const { certificates, clock } = api.house;
  await certificates.transition("b.example.com", 1, { status: "attention", attempts: 1 }, clock.now());
  await certificates.transition("c.example.com", 1, { status: "paused", attempts: 0 }, clock.now());
  return [...names, id, "nobody.example.com"];
}

async function send({ url, method, headers, body }: FuzzedRequest): Promise<Response> {
  return await fetch(api.url + url, {
    method,
    headers: { authorization: "Bearer admin-token", ...headers },
    ...(body === undefined ? {} : { body }),
    redirect: "manual",
    signal: AbortSignal.timeout(20_000),
  });
}

/** What is wrong with an answer; undefined for nothing. */
async function fault(route: Route, answer: Response): Promise<string | undefined> {
  const { status } = answer;
  const type = answer.headers.get("content-type")?.split(";")[0] ?? "";
  if (type === "text/event-stream") return void (await answer.body?.cancel());
  const text = await answer.text();
  if (status < 400) return unlike(route, status, type, text);
  if (type !== "application/problem+json") return `${type}: ${text.slice(0, 200)}`;
  const problem = JSON.parse(text) as ProblemBody;
  const code = /^urn:certherd:error:([a-z_]+)$/.exec(problem.type)?.[1] ?? "";
  if (!codes.has(code)) return `a type that docs/errors.md does not have: ${problem.type}`;
  if (problem.status !== status || !problem.title || !problem.detail) return `not whole: ${text}`;
  if (/node_modules|\bat .*:\d+:\d+/.test(text)) return `tells of the inside: ${text}`;
  // Whoever runs this test runs no responder.
  return status >= 500 && code !== "no_responder" ? text : undefined;
}

/** An answer of another shape than the documented one. */
function unlike({ operation }: Route, status: number, type: string, text: string): string | undefined {
  if (status === 204) return operation.responses["204"] && text === "" ? undefined : "204 is not documented";
  const schema = operation.responses[String(status)]?.content?.[type]?.schema;
  if (!schema) return status < 300 ? `${status} ${type} is not documented` : undefined;
  if (type !== "application/json") return undefined;
  const { error } = shapeOf(schema).safeParse(JSON.parse(text));
  return error && `${status}: ${z.prettifyError(error)}\n${text.slice(0, 300)}`;
}

const shapes = new Map<object, z.ZodType>();

function shapeOf(schema: object): z.ZodType {
  const known = shapes.get(schema) ?? z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  shapes.set(schema, known);
  return known;
}

it(`no input makes any route fail (FUZZ_SEED=${SEED})`, async () => {
  const random = randomFrom(SEED);
  const names = await seed();
  const routes = await routesOf(api);
  const waiting = routes
    .flatMap((route) =>
      Array.from({ length: EACH }, () => ({ route, request: fuzzed(route, names, random) })),
    )
    .values();
  const broken: string[] = [];
  const answered = new Map<string, Set<number>>();
  const work = async (): Promise<void> => {
    for (const { route, request } of waiting) {
      const answer = await send(request);
      answered.set(route.what, (answered.get(route.what) ?? new Set()).add(answer.status));
      const found = await fault(route, answer);
      if (found !== undefined)
        broken.push(`${JSON.stringify(request).slice(0, 300)}: ${answer.status} ${found}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  expect(broken).toEqual([]);
  expect(api.lines.filter((line) => line.includes("Error"))).toEqual([]);
  // Who takes input has both taken some and refused some.
  const onesided = routes.flatMap(({ what, operation }) => {
    const statuses = [...(answered.get(what) ?? [])];
    const takesInput = operation.requestBody ?? operation.parameters;
    const refused = !takesInput || statuses.some((status) => status >= 400);
    return statuses.length > 0 && refused ? [] : [`${what}: ${statuses.join()}`];
  });
  expect(onesided).toEqual([]);
  expect((await api.ask("/readyz")).status).toBe(200);
  expect(Object.prototype).not.toHaveProperty("polluted");
});
