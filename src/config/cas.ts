import { readFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { caNameOf, KNOWN_CAS, knownCaOf } from "../acme/cas.ts";
import { usageError } from "../core/errors.ts";
import { checkName, registeredDomain } from "../core/names.ts";
import { type CaLimits, limitsOf } from "../limits/table.ts";
import { type Environment, secret, variable } from "./environment.ts";
import { type ConfigFile, defined } from "./schema.ts";

export interface CaConfig {
  /** Also the account's id: one account per CA; names its queues, its folder and its keys in Redis. */
  name: string;
  directory: string;
  /** PEM trusted for the directory's own TLS, beside the system's roots. */
  root?: string;
  email?: string;
  eab?: { kid: string; hmacKey: string };
  profile?: string;
  limits: CaLimits;
  /** The names by which CAA records allow it; what its directory says is added. */
  caaIdentities: readonly string[];
}

/** In the order of preference. What the file leaves open comes from the environment. */
export function caConfigs(env: Environment, file: ConfigFile): [CaConfig, ...CaConfig[]] {
  const preferred = variable(env, "CERTHERD_CA");
  const listed = file.cas?.map((entry) => caFromFile(env, entry)) ?? [];
  const names = listed.map((entry) => entry.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice)
    throw usageError("config_invalid", `The CA "${twice}" stands twice in cas; give each a name of its own.`);
  if (preferred === undefined && listed[0]) return [listed[0], ...listed.slice(1)];
  // CERTHERD_CA beside a file names the one to prefer; alone, it is a list of one.
  const chosen = listed.find((entry) => entry.name === preferred || entry.directory === preferred);
  const first = chosen ?? caFromEnvironment(env, preferred ?? "letsencrypt");
  return [first, ...listed.filter((entry) => entry !== chosen)];
}

function caFromEnvironment(env: Environment, nameOrUrl: string): CaConfig {
  const directory = KNOWN_CAS[nameOrUrl]?.directory ?? nameOrUrl;
  if (!/^https?:\/\//.test(directory) || !URL.canParse(directory)) {
    const known = Object.keys(KNOWN_CAS).join(", ");
    throw usageError(
      "config_invalid",
      `CERTHERD_CA is "${nameOrUrl}"; it must be one of ${known}, or the URL of an ACME directory.`,
    );
  }
  const name = caNameOf(directory);
  const caaIdentities = KNOWN_CAS[name]?.caaIdentities ?? [];
  return completeCa(env, { name, directory, limits: limitsOf(name), caaIdentities });
}

function caFromFile(env: Environment, entry: NonNullable<ConfigFile["cas"]>[number]): CaConfig {
  const directory = entry.directory ?? KNOWN_CAS[entry.name]?.directory;
  if (!directory)
    throw usageError(
      "config_invalid",
      `The CA "${entry.name}" is not known by name; give its "directory" URL in cas.`,
    );
  const known = knownCaOf(directory);
  const domains = Object.entries(entry.domains ?? {}).flatMap(([domain, { certificatesPerDomain }]) =>
    certificatesPerDomain ? [[domainKey(domain), certificatesPerDomain] as const] : [],
  );
  return completeCa(env, {
    name: entry.name,
    directory,
    limits: limitsOf(known ?? entry.name, {
      certificates: defined(entry.limits ?? {}),
      domains: Object.fromEntries(domains),
      ...(entry.renewalsExempt === undefined ? {} : { renewalsExempt: entry.renewalsExempt }),
    }),
    caaIdentities: entry.caaIdentities ?? KNOWN_CAS[known ?? entry.name]?.caaIdentities ?? [],
    ...(entry.root === undefined ? {} : { root: readPem(`root of the CA "${entry.name}"`, entry.root) }),
    ...(entry.email === undefined ? {} : { email: entry.email }),
    ...(entry.profile === undefined ? {} : { profile: entry.profile }),
    ...(entry.eab === undefined
      ? {}
      : {
          eab: {
            kid: entry.eab.kid,
            hmacKey: readText(`hmacFile of the CA "${entry.name}"`, entry.eab.hmacFile),
          },
        }),
  });
}

/** What the file leaves open comes from the environment, and counts for every CA. */
function completeCa(env: Environment, ca: CaConfig): CaConfig {
  const email = ca.email ?? variable(env, "CERTHERD_ACCOUNT_EMAIL");
  const rootPath = variable(env, "CERTHERD_CA_ROOT");
  const root = ca.root ?? (rootPath === undefined ? undefined : readPem("CERTHERD_CA_ROOT", rootPath));
  const kid = variable(env, "CERTHERD_EAB_KID");
  const hmacKey = secret(env, "CERTHERD_EAB_HMAC");
  const eab = ca.eab ?? (kid !== undefined && hmacKey !== undefined ? { kid, hmacKey } : undefined);
  if ((kid === undefined) !== (hmacKey === undefined))
    throw usageError(
      "config_invalid",
      "CERTHERD_EAB_KID and CERTHERD_EAB_HMAC go together; only one of them is set.",
    );
  return {
    ...ca,
    ...(email === undefined ? {} : { email }),
    ...(root === undefined ? {} : { root }),
    ...(eab === undefined ? {} : { eab }),
  };
}

function readText(what: string, path: string): string {
  try {
    return readFileSync(isAbsolute(path) ? path : resolve(path), "utf8").trim();
  } catch (error) {
    throw usageError(
      "config_unreadable",
      `The ${what} cannot be read: ${error instanceof Error ? error.message : error}.`,
    );
  }
}

function readPem(what: string, path: string): string {
  const pem = readText(what, path);
  if (!pem.includes("-----BEGIN CERTIFICATE-----"))
    throw usageError("config_invalid", `The ${what}, ${path}, holds no PEM certificate.`);
  return pem;
}

/** As names are: lower case, A-labels. */
function domainKey(domain: string): string {
  const checked = checkName(domain);
  if (checked.ok) {
    const registered = registeredDomain(checked.name);
    if (registered === checked.name) return checked.name;
    throw usageError(
      "config_invalid",
      `The domain "${domain}" in cas is no registered domain, and CAs count by those: give ${registered}.`,
    );
  }
  throw usageError("config_invalid", `The domain "${domain}" in cas is none: ${checked.reason}.`);
}
