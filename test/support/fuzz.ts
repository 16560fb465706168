/** Input for a route, good and bad, made from what /openapi.json says of it. */
import type { JsonSchema, Operation, Route } from "./openapi.ts";
import { examplesOf } from "./openapi.ts";
import type { Random } from "./random.ts";

export interface FuzzedRequest {
  url: string;
  method: string;
  headers: Record<string, string>;
  body?: string;
}

const ODD_TEXTS = [
  "",
  " ",
  "\u0000",
  "a\u0000b.example.com",
  "\ud83d\udca9.example",
  "\u202eexample.com",
  "\ufeff",
  "\ud800",
  "日本.example",
  "__proto__",
  "constructor",
  "../../etc/passwd",
  "' OR 1=1 --",
  "=cmd|' /C calc'!A0",
  "-1",
  "1e999",
  "NaN",
  "true",
  "null",
  "9-9",
  "0.x",
  "99999999999999999999.x",
  "a".repeat(3_000),
  "💩".repeat(300),
];
const ODD_VALUES: readonly unknown[] = [
  ...ODD_TEXTS,
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  Number.MAX_SAFE_INTEGER,
  [],
  [[]],
  [null],
  ["a", 1],
  {},
  { a: {} },
  Array.from({ length: 500 }, () => "a.example.com"),
];
const BROKEN_JSON = [
  "",
  "{",
  "[",
  '{"names":',
  "nul",
  "\u0000",
  '{"a":1}}',
  "'",
  '{"__proto__":{"x":1}}',
  "[".repeat(5_000),
];
const ODD_TYPES = [
  "",
  "text/plain",
  "text/csv",
  "application/xml",
  "application/json; charset=utf-16",
  "x",
  "text/csv; charset=latin1",
  "multipart/form-data",
];
const ODD_CSVS = [
  "",
  "\n\n",
  "a.example.com\n",
  "DOMAIN,VIPPort\n",
  "DOMAIN,DOMAIN\na.example.com,b\n",
  '"a.example.com\nb.example.com\n',
  "\u0000\n",
  "PK\u0003\u0004",
  "{}",
  "__proto__,constructor\n1,2\n",
  "DOMAIN,__proto__,toString\na.example.com,1,2\n",
  `${"x".repeat(70_000)}\n`,
  "a.example.com,443,8888,,,,,,,,,\n",
  "=1+1\n-1\n@x\n",
  "\ufeffDOMAIN\n\u202ea.example.com\n",
];

/** One request that a client might send, or that no client ever should. */
export function fuzzed(route: Route, names: readonly string[], random: Random): FuzzedRequest {
  const { method, operation } = route;
  const headers: Record<string, string> = {};
  for (const { name, in: place } of operation.parameters ?? [])
    if (place === "header" && random.oneIn(4)) headers[name] = headerText(random);
  const url = pathOf(route, names, random) + queryOf(operation, random);
  const body = method === "GET" ? undefined : bodyOf(operation, headers, random);
  return { url, method, headers, ...(body === undefined ? {} : { body }) };
}

function headerText(random: Random): string {
  return random.of(["x", "\u00ff", "a b", "1-1", "0", "x".repeat(300), "'"]);
}

function pathOf({ path }: Route, names: readonly string[], random: Random): string {
  return path.replace(/\{\w+\}/g, () => {
    if (random.oneIn(2)) return encodeURIComponent(random.of(names));
    if (random.oneIn(6)) return random.of(["%zz", "%00", "..%2f..", "%F0%9F", "a%2Fb", "%"]);
    return encoded(random.of(ODD_TEXTS).slice(0, 900)) || "x";
  });
}

function queryOf({ parameters = [] }: Operation, random: Random): string {
  const pairs: string[] = [];
  for (const { name, in: place, schema } of parameters) {
    if (place !== "query" || random.oneIn(2)) continue;
    const value = random.oneIn(2) ? goodText(schema, random) : random.of(ODD_TEXTS);
    pairs.push(`${name}=${encoded(value)}`);
    if (random.oneIn(8)) pairs.push(`${name}=again`);
  }
  if (random.oneIn(8))
    pairs.push(random.of(["__proto__=1", "x[]=1", "=", "%zz=1", "constructor[prototype]=1"]));
  return pairs.length > 0 ? `?${pairs.join("&")}` : "";
}

function goodText({ enum: values, minimum, type, examples }: JsonSchema, random: Random): string {
  if (Array.isArray(values)) return String(random.of(values));
  if (Array.isArray(examples)) return String(random.of(examples));
  return type === "integer" ? String(Number(minimum ?? 0) + random.below(50)) : random.of(["a", "example"]);
}

/** Half of a surrogate pair has no encoding: it goes as what stands for broken letters. */
function encoded(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString());
}

function bodyOf(
  { requestBody }: Operation,
  headers: Record<string, string>,
  random: Random,
): string | undefined {
  const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? ["application/json", {}];
  if (random.oneIn(8)) return undefined;
  headers["content-type"] = random.oneIn(10) ? random.of(ODD_TYPES) : type;
  const examples = examplesOf(media);
  if (type !== "application/json") return random.oneIn(3) ? String(examples[0] ?? "") : random.of(ODD_CSVS);
  if (random.oneIn(6)) return random.of(BROKEN_JSON);
  const good: unknown = examples.length > 0 ? structuredClone(random.of(examples)) : {};
  const text = JSON.stringify(random.oneIn(5) ? good : spoilt(good, media.schema ?? {}, random));
  // As a key of the text it is one like any other; in a literal it would be lost.
  return random.oneIn(10) ? text.replace(/^\{/, '{"__proto__":{"polluted":true},') : text;
}

/** The same with one thing wrong in it, at any depth. */
function spoilt(value: unknown, schema: JsonSchema, random: Random): unknown {
  if (typeof value !== "object" || value === null || random.oneIn(6)) return random.of(ODD_VALUES);
  if (Array.isArray(value)) {
    const at = random.below(Math.max(1, value.length));
    return value.map((item, index) => (index === at ? spoilt(item, {}, random) : item));
  }
  const known = Object.keys((schema.properties as object | undefined) ?? {});
  const keys = [...new Set([...Object.keys(value), ...known])];
  if (keys.length === 0 || random.oneIn(6))
    return { ...value, [random.of(ODD_TEXTS)]: random.of(ODD_VALUES) };
  const key = random.of(keys);
  const { [key]: old, ...rest } = value as Record<string, unknown>;
  return random.oneIn(4) ? rest : { ...rest, [key]: spoilt(old, {}, random) };
}
