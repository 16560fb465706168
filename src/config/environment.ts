import { readFileSync } from "node:fs";
import { delimiter } from "node:path";
import { usageError } from "../core/errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The process's environment. Nothing else reads it, so that a test or an embedding can hand in its own. */
export function processEnvironment(): Environment {
  return process.env;
}

/** A variable, empty ones counting as not set. */
export function variable(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value ? value : undefined;
}

/** A secret: `NAME`, or the content of the file that `NAME_FILE` names (as container secrets come). */
export function secret(env: Environment, name: string): string | undefined {
  const direct = variable(env, name);
  const path = variable(env, `${name}_FILE`);
  if (direct !== undefined && path !== undefined)
    throw usageError("config_conflict", `${name} and ${name}_FILE are both set; keep one of them.`);
  if (path === undefined) return direct;
  try {
    return readFileSync(path, "utf8").trim() || undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw usageError("config_unreadable", `${name}_FILE cannot be read: ${reason}.`);
  }
}

/** One of a fixed set of words, or a usage error that lists them. */
export function choice<T extends string>(
  env: Environment,
  name: string,
  words: readonly T[],
  fallback: T,
): T {
  const value = variable(env, name);
  if (value === undefined) return fallback;
  const found = words.find((word) => word === value);
  if (found === undefined)
    throw usageError("config_invalid", `${name} is "${value}"; it must be one of ${words.join(", ")}.`);
  return found;
}

/** The folders that programs are looked for in. */
export function searchPath(env: Environment = processEnvironment()): string[] {
  return (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
}
