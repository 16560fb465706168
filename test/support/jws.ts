/** What an ACME request says (RFC 8555 §6.2), read without its key: nothing of it is verified. */
export interface SeenJws {
  /** The account's URL; absent where the request brings its key instead. */
  kid?: string;
  url?: string;
  /** "" for a POST-as-GET, else what the JSON holds. */
  payload: unknown;
}

/** Undefined for what is no JWS. */
export function readJws(body: Buffer): SeenJws | undefined {
  const outer = parseJson(body.toString("utf8"));
  if (!isObject(outer) || typeof outer.protected !== "string" || typeof outer.payload !== "string") return;
  const header = parseJson(decode(outer.protected));
  if (!isObject(header)) return;
  const { kid, url } = header;
  return {
    ...(typeof kid === "string" && { kid }),
    ...(typeof url === "string" && { url }),
    payload: outer.payload === "" ? "" : parseJson(decode(outer.payload)),
  };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Undefined for what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function decode(base64url: string): string {
  return Buffer.from(base64url, "base64url").toString("utf8");
}
