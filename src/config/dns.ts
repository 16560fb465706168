import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { z } from "zod";
import { usageError } from "../core/errors.ts";
import { TSIG_ALGORITHMS, type TsigAlgorithm } from "../dns/tsig.ts";
import { duration, port } from "./fields.ts";

const path = z.string().startsWith("/", "give a whole path, from /");

/** A name in A-labels; unlike a host's it may hold underscores, as the zone `_acme-challenge.example.com` does. */
const zone = z.string().transform((text, context) => {
  const name = domainToASCII(text.trim().toLowerCase().replace(/\.$/, ""));
  if (name.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name) && isIP(name) === 0)
    return name;
  context.addIssue(`"${text}" is no zone; give its name, such as example.com`);
  return z.NEVER;
});

/** `192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53`, or a name in place of the address. */
const server = z.string().transform((text, context) => {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? (isIP(text) === 6 ? text : "");
  const number = Number(match?.[3] ?? 53);
  if (address !== "" && number >= 1 && number <= 65_535 && (match?.[1] === undefined || isIP(address) === 6))
    return { address, port: number };
  context.addIssue(`"${text}" is no server; write it as 192.0.2.1:53 or [2001:db8::1]:53`);
  return z.NEVER;
});

const numbered = server.refine(({ address }) => isIP(address) !== 0, "give an IP address, as 192.0.2.1:53");

/** `rfc2136`: DNS UPDATE with TSIG, as BIND, Knot, PowerDNS and Windows without GSS take it. */
const rfc2136 = z.strictObject({
  server,
  /** A file with the secret in base64, or a key file as tsig-keygen writes it. */
  keyFile: path,
  /** Name and algorithm of the key; a key file of tsig-keygen says both. */
  key: z.string().min(1).optional(),
  algorithm: z.enum(TSIG_ALGORITHMS).optional(),
  /** Seconds. */
  ttl: z.number().int().min(0).max(86_400).default(60),
  transport: z.enum(["tcp", "udp"]).default("tcp"),
  timeout: duration.default(10_000),
});

/** `exec`: a program that is run with `present|cleanup NAME. VALUE`. */
const exec = z.strictObject({
  /** Program and arguments; never a shell's line. */
  command: z.tuple([path], z.string().min(1)),
  timeout: duration.default(60_000),
});

const provider = z
  .strictObject({
    name: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
        "a provider's name is of letters, digits, dots, hyphens and _",
      ),
    zones: z.array(zone).min(1, "give at least one zone"),
    /** The zone on the server; looked up (SOA) when left out. */
    zone: zone.optional(),
    /** Asked whether the record is there; the zone's own name servers (NS) when left out. */
    servers: z.array(numbered).min(1).optional(),
    rfc2136: rfc2136.optional(),
    exec: exec.optional(),
  })
  .superRefine((given, context) => {
    if ((given.rfc2136 === undefined) === (given.exec === undefined))
      context.addIssue("a provider has one driver: rfc2136 or exec");
  });

/** The part `dns` of the configuration file. */
export const dnsSchema = z
  .strictObject({
    providers: z.array(provider).default([]),
    propagation: z
      .strictObject({
        /** How long the name servers of a zone may take to have a new record. */
        timeout: duration.default(300_000),
        /** From one look to the next. */
        every: duration.default(5_000),
        /** Where name servers of zones are asked. */
        port: port.default(53),
      })
      .prefault({}),
    resolvers: z.array(numbered).min(1).optional(),
  })
  .superRefine(({ providers }, context) => {
    const seen = new Map<string, string>();
    for (const { name, zones } of providers) {
      if (providers.filter((other) => other.name === name).length > 1)
        context.addIssue(`the provider "${name}" stands there twice`);
      for (const each of zones) {
        const other = seen.get(each);
        if (other !== undefined) context.addIssue(`${each} is a zone of both "${other}" and "${name}"`);
        seen.set(each, name);
      }
    }
  });

export interface Server {
  address: string;
  port: number;
}

export interface DnsProviderConfig {
  name: string;
  zones: readonly string[];
  zone?: string | undefined;
  /** Asked whether the record is there; the zone's own name servers where empty. */
  servers: readonly Server[];
  driver:
    | {
        kind: "rfc2136";
        server: Server;
        key: { name: string; algorithm: TsigAlgorithm; secret: Buffer };
        /** Seconds. */
        ttl: number;
        transport: "tcp" | "udp";
        /** Milliseconds. */
        timeout: number;
      }
    | { kind: "exec"; command: readonly string[]; timeout: number };
}

/** How dns-01 is answered; without a provider it is not. */
export interface Dns01Config {
  providers: readonly DnsProviderConfig[];
  /** Milliseconds, and the port of authoritative servers. */
  propagation: { timeout: number; every: number; port: number };
  /** `address:port`; the system's where empty. */
  resolvers: readonly string[];
}

/** `resolvers`: CERTHERD_DNS, where the file names none. Throws `config_invalid` and `config_unreadable` for a keyFile. */
export function dns01Config(
  given: z.infer<typeof dnsSchema> | undefined,
  resolvers: readonly string[],
): Dns01Config {
  const { providers, propagation, resolvers: own } = given ?? dnsSchema.parse({});
  return {
    propagation,
    resolvers:
      own?.map(({ address, port }) =>
        isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`,
      ) ?? resolvers,
    providers: providers.map(({ name, zones, zone, servers = [], rfc2136, exec }) => ({
      name,
      zones,
      ...(zone === undefined ? {} : { zone }),
      servers,
      driver: rfc2136 ? updating(name, rfc2136) : { kind: "exec", ...(exec ?? { command: [], timeout: 0 }) },
    })),
  };
}

function updating(
  provider: string,
  { key, algorithm, keyFile, ...rest }: z.infer<typeof rfc2136>,
): DnsProviderConfig["driver"] {
  const what = `keyFile of the DNS provider "${provider}"`;
  let text: string;
  try {
    text = readFileSync(keyFile, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw usageError("config_unreadable", `${what} cannot be read: ${reason}.`);
  }
  const file = keyClause(text);
  const name = key ?? file.name;
  const secret = Buffer.from(file.secret, "base64");
  // Buffer.from skips what is no base64, and the secret itself must not be shown.
  if (secret.length === 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(file.secret))
    throw usageError(
      "config_invalid",
      `${what}, ${keyFile}, holds no secret in base64, and no key as tsig-keygen writes it.`,
    );
  if (name === undefined)
    throw usageError(
      "config_invalid",
      `${what} does not say the key's name: set rfc2136.key of that provider.`,
    );
  const wanted = algorithm ?? file.algorithm ?? "hmac-sha256";
  const known = TSIG_ALGORITHMS.find((each) => each === wanted);
  if (known === undefined)
    throw usageError(
      "config_invalid",
      `${what} is for ${wanted}; the algorithms are ${TSIG_ALGORITHMS.join(", ")}.`,
    );
  return {
    kind: "rfc2136",
    ...rest,
    key: { name: name.toLowerCase().replace(/\.$/, ""), algorithm: known, secret },
  };
}

/** `key "certherd" { algorithm hmac-sha256; secret "…"; };` as tsig-keygen(8) writes it, or the secret alone. */
function keyClause(text: string): {
  name?: string | undefined;
  algorithm?: string | undefined;
  secret: string;
} {
  const clause = /\bkey\s+"?([^"\s{]+)"?\s*\{([^}]*)\}/.exec(text);
  if (clause === null) return { secret: text.trim() };
  const [, name, body = ""] = clause;
  return {
    name,
    algorithm: /\balgorithm\s+"?([\w-]+)/.exec(body)?.[1]?.toLowerCase(),
    secret: /\bsecret\s+"?([^"\s;]+)/.exec(body)?.[1] ?? "",
  };
}
