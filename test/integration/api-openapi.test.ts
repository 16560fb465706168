/** /openapi.json says of every route all that somebody needs who has nothing else. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { ensureTools } from "../../scripts/tools.ts";
import { TAGS } from "../../src/api/operations.ts";
import { startTestApi, type TestApi } from "../support/api.ts";
import { examplesOf, type MediaType, type Route, routesOf } from "../support/openapi.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

let server: RedisServer;
let api: TestApi;
let routes: Route[];

beforeAll(async () => {
  await ensureTools(["redis"]);
  server = await startRedis();
  api = await startTestApi(server.url);
  routes = await routesOf(api);
});

afterAll(async () => {
  await api.stop();
  await server.stop();
});

/** Sentences about what a route lacks; none is what is wanted. */
const lacking = (look: (route: Route) => string[]): string[] =>
  routes.flatMap((route) => look(route).map((what) => `${route.what}: ${what}`));

const isJson = (type: string): boolean => /[/+]json/.test(type) || type === "application/x-ndjson";

/** Bodies and answers, each with where it stands. */
function media({ operation }: Route): [where: string, type: string, media: MediaType][] {
  const body = Object.entries(operation.requestBody?.content ?? {});
  const answers = Object.entries(operation.responses).flatMap(([status, { content = {} }]) =>
    Object.entries(content).map(([type, one]): [string, string, MediaType] => [status, type, one]),
  );
  return [...body.map(([type, one]): [string, string, MediaType] => ["body", type, one]), ...answers];
}

describe("every route", () => {
  it("has a summary, a tag that is known, a name of its own, and says who may use it", () => {
    expect(routes.length).toBeGreaterThan(20);
    expect(
      lacking(({ operation: { summary, tags = [], operationId, security } }) => [
        ...(summary ? [] : ["no summary"]),
        ...(tags.length === 1 && (tags[0] ?? "") in TAGS ? [] : [`tags ${tags.join(", ") || "missing"}`]),
        ...(operationId ? [] : ["no operationId: src/api/operations.ts"]),
        ...(security ? [] : ["no security"]),
      ]),
    ).toEqual([]);
    const names = routes.map(({ operation }) => operation.operationId);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it("says what it answers, and how it refuses", () => {
    expect(
      lacking(({ path, operation: { responses } }) => [
        ...(Object.keys(responses).some((status) => status.startsWith("2")) ? [] : ["no good answer"]),
        ...["4XX", "5XX"].flatMap((status) => {
          const found = responses[status] ?? responses[status.toLowerCase()];
          return found?.content?.["application/problem+json"] || path === "/healthz" ? [] : [`no ${status}`];
        }),
        ...Object.entries(responses).flatMap(([status, { description, content }]) => [
          ...(description ? [] : [`${status}: no description`]),
          ...(content || status === "204" ? [] : [`${status}: no content`]),
        ]),
      ]),
    ).toEqual([]);
  });

  it("shows an example of its body and of each answer that is JSON", () => {
    expect(
      lacking((route) =>
        media(route).flatMap(([where, type, one]) => {
          const needed = where === "body" || isJson(type);
          // A body of which nothing has to be said.
          const isEmpty = where === "body" && JSON.stringify(one.schema).includes('"properties":{}');
          return !needed || isEmpty || examplesOf(one).length > 0 ? [] : [`${where} (${type}): no example`];
        }),
      ),
    ).toEqual([]);
  });

  it("has examples of the shape that they stand beside", () => {
    let looked = 0;
    const wrong = lacking((route) =>
      media(route).flatMap(([where, , one]) => {
        const examples = examplesOf(one);
        if (examples.length === 0) return [];
        const shape = z.fromJSONSchema(one.schema as Parameters<typeof z.fromJSONSchema>[0]);
        return examples.flatMap((example) => {
          looked++;
          const { error } = shape.safeParse(example);
          return error ? [`${where}: ${z.prettifyError(error)}`] : [];
        });
      }),
    );
    expect(wrong).toEqual([]);
    expect(looked).toBeGreaterThan(60);
  });
});
