/** What a request was answered with, where that was a problem (RFC 9457): a sentence for a person. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: readonly FieldError[];

  constructor(status: number, code: string, detail: string, errors: readonly FieldError[] = []) {
    super(detail);
    this.status = status;
    this.code = code;
    this.errors = errors;
  }
}

/** Whatever has gone wrong, as something to show. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, "unknown", error instanceof Error ? error.message : String(error));
}

export interface FieldError {
  field: string;
  value: string;
  reason: string;
}

const URN = "urn:certherd:error:";

interface AskOptions {
  method?: "GET" | "POST" | "DELETE";
  json?: unknown;
  csv?: string | Blob;
  signal?: AbortSignal;
}

/** The answer to a request of the same site; throws a Problem. Without a session it leads to the sign-in page. */
export async function send(path: string, options: AskOptions = {}): Promise<Response> {
  const { json, csv, signal } = options;
  const body = json === undefined ? csv : JSON.stringify(json);
  const type = json === undefined ? "text/csv; charset=utf-8" : "application/json";
  const response = await fetch(path, {
    method: options.method ?? (body === undefined ? "GET" : "POST"),
    credentials: "same-origin",
    headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": type }) },
    ...(body === undefined ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
  }).catch((error: Error) => {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "Certherd cannot be reached. It is tried again by itself.");
  });
  if (response.ok) return response;
  if (response.status === 401) signIn();
  throw await problemOf(response);
}

/** The same, read as JSON. */
export async function ask<T>(path: string, options: AskOptions = {}): Promise<T> {
  const response = await send(path, options);
  return (await response.json()) as T;
}

export function signIn(): void {
  const here = location.pathname + location.search;
  location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
}

async function problemOf(response: Response): Promise<Problem> {
  const fallback = `Certherd answered ${response.status} ${response.statusText}.`;
  try {
    const { type, detail, errors } = (await response.json()) as {
      type?: string;
      detail?: string;
      errors?: FieldError[];
    };
    return new Problem(response.status, String(type).replace(URN, ""), detail ?? fallback, errors);
  } catch {
    return new Problem(response.status, "unknown", fallback);
  }
}
