import type { FastifyRequest } from "fastify";
import type { ZodFastifySchemaValidationError } from "fastify-type-provider-zod";
import { shown } from "../intake/row.ts";
import type { FieldError } from "./problems.ts";

/** zod's issues as fields of the request, each with what stands there. */
export function fieldErrors(
  issues: readonly ZodFastifySchemaValidationError[],
  context: string | undefined,
  request: FastifyRequest,
): FieldError[] {
  const input = inputOf(context, request);
  return issues.flatMap(({ instancePath, message = "it is wrong", params }) => {
    const path = instancePath.split("/").filter((part) => part !== "");
    const unknown = "keys" in params && Array.isArray(params.keys) ? params.keys.map(String) : undefined;
    const paths = unknown?.map((key) => [...path, key]) ?? [path];
    return paths.map((at) => ({
      field: at.join(".") || "body",
      value: shownValue(valueAt(input, at)),
      reason: unknown ? "there is no such field" : message,
    }));
  });
}

function inputOf(context: string | undefined, request: FastifyRequest): unknown {
  switch (context) {
    case "querystring":
      return request.query;
    case "params":
      return request.params;
    case "headers":
      return request.headers;
    default:
      return request.body;
  }
}

function valueAt(input: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, part) =>
      typeof at === "object" && at !== null && Object.hasOwn(at, part) ? Reflect.get(at, part) : undefined,
    input,
  );
}

function shownValue(value: unknown): string {
  if (value === undefined) return "";
  return shown(typeof value === "string" ? value : JSON.stringify(value));
}
