import { readFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { caNameOf, KNOWN_CAS, knownCaOf, needsEab } from "../acme/cas.ts";
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

/** Whence it is known which CA new certificates are ordered from. */
export type CaSource = "CERTHERD_CA" | "CERTHERD_CONFIG" | "default";

export function caSource(env: Environment, file: ConfigFile): CaSource {
  if (variable(env, "CERTHERD_CA") !== undefined) return "CERTHERD_CA";
  return file.cas === undefined ? "default" : "CERTHERD_CONFIG";
}

/** In the order of preference. What the file leaves open comes from the environment. */
export function caConfigs(env: Environment, file: ConfigFile): [CaConfig, ...CaConfig[]] {
  const preferred = variable(env, "CERTHERD_CA");
  const listed = file.cas?.map((entry) => caFromFile(env, entry)) ?? [];
  const names = listed.map((entry) => entry.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice)
    throw usageError("config_invalid", `The CA "${twice}" stands twice in cas; give each a name of its own.`);
  if (preferred === undefined && listed[0]) return oneBinding(env, file, [listed[0], ...listed.slice(1)]);
  // CERTHERD_CA beside a file names the one to prefer; alone, it is a list of one.
  const chosen = listed.find((entry) => entry.name === preferred || entry.directory === preferred);
  const first = chosen ?? caFromEnvironment(env, preferred ?? "letsencrypt");
  return oneBinding(env, file, [first, ...listed.filter((entry) => entry !== chosen)]);
}

type Listed = [CaConfig, ...CaConfig[]];

/** A key id is one CA's: the one of the environment cannot be that of two. */
function oneBinding(env: Environment, file: ConfigFile, cas: Listed): Listed {
  const own = new Set(file.cas?.filter(({ eab }) => eab !== undefined).map(({ name }) => name));
  const wanting = cas.filter(({ name, directory }) => needsEab(directory) && !own.has(name));
  if (variable(env, "CERTHERD_EAB_KID") === undefined || wanting.length < 2) return cas;
  const names = wanting.map(({ name }) => name).join(" and ");
  throw usageError(
    "config_invalid",
    `CERTHERD_EAB_KID and CERTHERD_EAB_HMAC are of one CA, and ${names} each want their own: give them as eab of each CA in cas.`,
  );
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
  const given = kid !== undefined && hmacKey !== undefined ? { kid, hmacKey } : undefined;
  // A CA that is known to want none is not told the secret of another one.
  const wantsNone = knownCaOf(ca.directory) !== undefined && !needsEab(ca.directory);
  const eab = ca.eab ?? (wantsNone ? undefined : given);
  if ((kid === undefined) !== (hmacKey === undefined))
    throw usageError(
      "config_invalid",
      "CERTHERD_EAB_KID and CERTHERD_EAB_HMAC go together; only one of them is set.",
    );
  if (eab) checkHmac(ca.name, eab.hmacKey);
  return {
    ...ca,
    ...(email === undefined ? {} : { email }),
    ...(root === undefined ? {} : { root }),
    ...(eab === undefined ? {} : { eab }),
  };
}

/** As CAs hand it out: base64url (RFC 4648 §5); some write it with padding, or in base64. The key is never shown. */
function checkHmac(ca: string, hmacKey: string): void {
  if (/^[A-Za-z0-9_+/-]+={0,2}$/.test(hmacKey)) return;
  throw usageError(
    "config_invalid",
    `The HMAC key for external account binding at ${ca} is not base64url: copy it as the CA shows it, without quotes and spaces.`,
  );
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
