/** /openapi.json as tests walk it. */
import { json, type TestApi } from "./api.ts";

export type JsonSchema = Record<string, unknown>;

export interface MediaType {
  schema?: JsonSchema;
  examples?: Record<string, { value: unknown }>;
  example?: unknown;
}

export interface Operation {
  summary?: string;
  operationId?: string;
  tags?: string[];
  security?: Record<string, string[]>[];
  parameters?: { name: string; in: "path" | "query" | "header"; required?: boolean; schema: JsonSchema }[];
  requestBody?: { content: Record<string, MediaType> };
  responses: Record<string, { description?: string; content?: Record<string, MediaType> }>;
}

export interface Route {
  /** "GET /v1/certificates/{name}" */
  what: string;
  method: string;
  path: string;
  operation: Operation;
}

const METHODS = new Set(["get", "post", "put", "patch", "delete"]);

/** Every route but HEAD, which is a GET without its answer. */
export async function routesOf(api: TestApi): Promise<Route[]> {
  const { paths } = await json<{ paths: Record<string, Record<string, Operation>> }>(
    await api.ask("/openapi.json"),
  );
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, operation]) =>
      METHODS.has(method)
        ? [{ what: `${method.toUpperCase()} ${path}`, method: method.toUpperCase(), path, operation }]
        : [],
    ),
  );
}

/** Wherever they stand: beside the media type, or in its shape. */
export function examplesOf({ schema, examples = {}, example }: MediaType): unknown[] {
  return [
    ...Object.values(examples).map(({ value }) => value),
    ...(example === undefined ? [] : [example]),
    ...((schema?.examples as unknown[] | undefined) ?? []),
    ...(schema?.example === undefined ? [] : [schema.example]),
  ];
}
