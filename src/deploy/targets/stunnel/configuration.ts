import type { Service } from "./services.ts";

/** A line of stunnel's configuration that says something. */
export interface Line {
  /** Counted from 1. */
  at: number;
  /** None before the first section: these are global, or the defaults of all sections. */
  section: string | undefined;
  /** In lower case; empty where a section begins. */
  key: string;
  value: string;
}

export function parseConfiguration(text: string): Line[] {
  const found: Line[] = [];
  let section: string | undefined;
  text.split("\n").forEach((raw, index) => {
    const line = raw.trim();
    if (line === "" || line.startsWith(";") || line.startsWith("#")) return;
    const name = /^\[(.*)\]$/.exec(line)?.[1];
    if (name !== undefined) section = name.trim();
    const [, key = line, value = ""] = /^([^=]*?)\s*=\s*(.*)$/.exec(line) ?? [];
    found.push({ at: index + 1, section, key: name === undefined ? key.toLowerCase() : "", value });
  });
  return found;
}

/** The value that counts, of those that may stand there once. */
export function globalValue(lines: readonly Line[], key: string): string | undefined {
  return lines.findLast((line) => line.section === undefined && line.key === key)?.value;
}

/** Defaults that decide whether a certificate can be loaded, by which our services go too. */
const DEFAULTS = new Set([
  "ciphers",
  "ciphersuites",
  "curve",
  "curves",
  "fips",
  "options",
  "securitylevel",
  "sslversion",
  "sslversionmax",
  "sslversionmin",
]);

export function defaultsOf(lines: readonly Line[]): string[] {
  return lines
    .filter(({ section, key }) => section === undefined && DEFAULTS.has(key))
    .map(({ key, value }) => `${key} = ${value}`);
}

/** Names and patterns that others' services of this master have. */
export function patternsOf(lines: readonly Line[], master: string): string[] {
  const start = `${master}:`;
  return lines.flatMap(({ key, value }) =>
    key === "sni" && value.startsWith(start) ? [value.slice(start.length).trim()] : [],
  );
}

/** That no process can listen there, on any system, is what ends a trial. */
const NOWHERE = "/dev/null/certherd";
/** Its own log goes to where we read it; no file of the live one is touched. */
const TRIAL = ["foreground = yes", "pid =", "syslog = no"];

export interface TrialService extends Pick<Service, "cert" | "connect" | "name"> {
  section: string;
}

/** A configuration of these services alone. stunnel loads it, then fails to listen, and ends. */
export function trialOf(
  services: readonly TrialService[],
  master: string,
  { defaults, secrets }: { defaults: readonly string[]; secrets: string },
): string {
  return [
    ...TRIAL,
    ...defaults,
    `[${master}]`,
    `accept = ${NOWHERE}`,
    "connect = 9",
    // A server needs something to prove itself with, and the master's own certificate may not be ours to read.
    `PSKsecrets = ${secrets}`,
    ...services.flatMap(({ section, name, cert, connect }) => [
      `[${section}]`,
      `sni = ${master}:${name}`,
      `cert = ${cert}`,
      `connect = ${connect}`,
    ]),
    "",
  ].join("\n");
}

const NOT_ON_TRIAL = new Set([
  "chroot",
  "foreground",
  "log",
  "output",
  "pid",
  "service",
  "setgid",
  "setuid",
  "syslog",
]);

/** The main configuration as it is, with all that it includes, for the words that it is refused with. */
export function wholeTrialOf(lines: readonly Line[]): string {
  const kept = lines.flatMap(({ section, key, value }) => {
    if (key === "") return [`[${section ?? ""}]`];
    if (section === undefined && NOT_ON_TRIAL.has(key)) return [];
    return [`${key} = ${key === "accept" ? NOWHERE : value}`];
  });
  return [...TRIAL, ...kept, ""].join("\n");
}
