import { AppError } from "../../../core/errors.ts";

/** One name, as stunnel serves it. */
export interface Service {
  /** The certificate's id. */
  id: string;
  name: string;
  /** Path of its PEM. */
  cert: string;
  connect: string;
}

/** A certificate that is to be served under all of its names. */
export interface Claim {
  id: string;
  names: readonly string[];
  cert: string;
  connect: string;
}

const HEADER = [
  "# Written by Certherd, which writes it anew as a whole: services of your own belong into another file.",
  "# Names stand before patterns, as stunnel takes the first one that matches.",
];
const MARK = "# certherd: ";
const NAME = /^(\*\.)?[a-z0-9_]([a-z0-9._-]*[a-z0-9])?$/;

/** Whether a name can stand in stunnel's configuration: an A-label or a pattern, in lower case. */
export function isServiceName(name: string): boolean {
  return NAME.test(name);
}

/** Whether stunnel serves a name by a pattern: `*.example.com` goes for all below it, however deep (`sni_cb`). */
export function matches(pattern: string, name: string): boolean {
  return pattern.startsWith("*")
    ? name.toLowerCase().endsWith(pattern.slice(1).toLowerCase())
    : pattern.toLowerCase() === name.toLowerCase();
}

/** The services once the claims are met: a name belongs to the certificate that claimed it last. */
export function mergeServices(present: readonly Service[], claims: readonly Claim[]): Service[] {
  const claiming = new Set(claims.map(({ id }) => id));
  const byName = new Map(
    present.flatMap((service) => (claiming.has(service.id) ? [] : [[service.name, service]])),
  );
  for (const { id, names, cert, connect } of claims)
    for (const name of names) byName.set(name, { id, name, cert, connect });
  return [...byName.values()];
}

/** The whole file. A pattern that is longer goes first: `*.a.example.com` would never be reached after `*.example.com`. */
export function renderServices(services: readonly Service[], master: string): string {
  const blocks = [...services]
    .sort(inOrder)
    .map(
      ({ id, name, cert, connect }) =>
        `${MARK}${id}\n[${sectionOf(name)}]\nsni = ${master}:${name}\ncert = ${cert}\nconnect = ${connect}\n`,
    );
  return [`${HEADER.join("\n")}\n`, ...blocks].join("\n");
}

function sectionOf(name: string): string {
  return `certherd-${name.replace("*", "_")}`;
}

function inOrder(a: Service, b: Service): number {
  const [first, second] = [a.name.startsWith("*"), b.name.startsWith("*")];
  if (first !== second) return first ? 1 : -1;
  if (first && a.name.length !== b.name.length) return b.name.length - a.name.length;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/**
 * What `renderServices` has written. Throws `node_misconfigured` at anything else, as to write the file anew would
 * lose what somebody has put there. The master's name may be another one than today's.
 */
export function parseServices(text: string, path: string): Service[] {
  const lines = text.split("\n");
  const services = new Map<string, Service>();
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    if (line === "" || HEADER.includes(line)) {
      at++;
      continue;
    }
    const service = parseBlock(lines.slice(at, at + 5));
    if (typeof service === "number") throw edited(path, at + service + 1);
    if (services.has(service.name)) throw edited(path, at + 2);
    services.set(service.name, service);
    at += 5;
  }
  return [...services.values()];
}

/** A service, or the index of the line that is not ours. */
function parseBlock([mark = "", section = "", sni = "", cert = "", connect = ""]: readonly string[]):
  | Service
  | number {
  if (!mark.startsWith(MARK)) return 0;
  const name = /^sni = [^\s:]+:(\S+)$/.exec(sni)?.[1];
  if (name === undefined || !isServiceName(name)) return 2;
  if (section !== `[${sectionOf(name)}]`) return 1;
  const pem = /^cert = (\/.+)$/.exec(cert)?.[1];
  if (pem === undefined) return 3;
  const goal = /^connect = (\S+)$/.exec(connect)?.[1];
  if (goal === undefined) return 4;
  return { id: mark.slice(MARK.length), name, cert: pem, connect: goal };
}

function edited(path: string, line: number): AppError {
  return new AppError(
    `Line ${line} of ${path} is not Certherd's, and would be lost if the file were written anew. Move what is your own to another file in that folder, and put the rest back as it was.`,
    { code: "node_misconfigured", disposition: "node" },
  );
}
