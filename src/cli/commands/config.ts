import type { Command } from "commander";
import { needsEab } from "../../acme/cas.ts";
import { type CaConfig, type Config, loadConfig } from "../../config/load.ts";
import { allPlaces, type NodeConfig } from "../../config/terminations.ts";
import { humanDuration } from "../../core/duration.ts";
import { hostOf, placesServed } from "../../deploy/places.ts";
import { type CaLimits, CERTIFICATE_LIMITS } from "../../limits/table.ts";
import { RENEWAL } from "../../renewal/policy.ts";
import { withoutPassword } from "../../store/redis.ts";
import { LIMIT_WORDS } from "../limit-words.ts";
import { type Io, print, table } from "../output.ts";

export function configCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("config")
    .summary("check the configuration")
    .command("check")
    .description(
      "Reads the environment and the configuration file, and says what is in force. Connects to nothing.",
    )
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  certherd config check\n  CERTHERD_CONFIG=/etc/certherd.yaml certherd config check",
    )
    .action((options: { json?: boolean }) => {
      const settings = describe(loadConfig());
      if (options.json) print(io, JSON.stringify(Object.fromEntries(settings)));
      else print(io, `${table(["SETTING", "IN FORCE"], settings)}\n\nThe configuration is right.`);
      exit(0);
    });
}

/** What is in force, without a secret. */
function describe(config: Config): [string, string][] {
  const mine = placesServed(config.terminations, config);
  return [
    ["home", config.home],
    ["node", config.node],
    ["redis", config.redisUrl === undefined ? "private, under home" : withoutPassword(config.redisUrl)],
    ["store key", config.storeKey === undefined ? "not set: certificates stay on this host" : "set"],
    ...config.cas.map(({ name, directory, email, eab, profile }, index): [string, string] => [
      index === 0 ? `ca ${name} (default)` : `ca ${name}`,
      `${directory}${email ? `, contact ${email}` : ""}${bindingWords(directory, eab)}${profile ? `, profile ${profile}` : ""}`,
    ]),
    ...config.cas.map(({ name, limits }): [string, string] => [`limits of ${name}`, limitWords(limits)]),
    [
      "a name waits for the next CA",
      config.spillAfter ? `after ${humanDuration(config.spillAfter)}` : "never",
    ],
    [
      "names are looked at before",
      `${config.preflight}, on port ${config.httpPort}, by ${config.dns.join(", ") || "the system's resolvers"}`,
    ],
    ["vips", config.vips.join(", ") || "not known"],
    [
      "circuit breaker",
      `after ${config.breaker.after} failures in a row; tries again after ${config.breaker.probe.map(humanDuration).join(", ")}`,
    ],
    [
      "a failing name is given up",
      `after ${humanDuration(config.patience.giveUpAfter)}, or ${config.patience.failures} failures in a row`,
    ],
    ["http api", `${config.listen.host}:${config.listen.port}`],
    [
      "api tokens",
      [config.apiToken ? "CERTHERD_API_TOKEN" : "", ...config.tokens.map(({ name }) => name)]
        .filter(Boolean)
        .join(", ") || "one made at the first start",
    ],
    ["http-01 listens on", config.acmeListen],
    ...config.dns01.providers.map((provider): [string, string] => [
      `dns provider ${provider.name}`,
      `${provider.zones.join(", ")}, by ${provider.driver.kind}`,
    ]),
    ["renewals", renewalWords(config.renewal)],
    ["retries after", config.retry.map(humanDuration).join(", ")],
    [
      "operator's mail",
      config.mail.operator ? `${config.mail.operator.to} through ${config.mail.operator.relay}` : "none",
    ],
    ["mail", `${config.mail.notify}${config.mail.from ? `, from ${config.mail.from}` : ""}`],
    ["vip ports", config.vipPorts ? [...config.vipPorts].join(", ") : "any"],
    ...allPlaces(config.terminations).map((place): [string, string] => [
      `node ${place.name} of port ${place.vipPort}`,
      nodeWords(place, mine.get(place.name)?.includes(place) === true),
    ]),
    [
      "nodes are looked at again",
      config.terminations.size > 0 ? `every certificate within ${humanDuration(config.watchEvery)}` : "never",
    ],
    ["orders are made", config.activeAddress ? `only where ${config.activeAddress} is local` : "here"],
  ];
}

function renewalWords({ ari, renewBefore, reuseKey, warn }: Config["renewal"]): string {
  const when =
    renewBefore !== undefined
      ? `${humanDuration(renewBefore)} before the end, or when the CA wants it replaced at once`
      : ari
        ? "when the CA suggests it, else with a third of the lifetime left"
        : "with a third of the lifetime left";
  const key = reuseKey ? "with the same key" : "with a new key";
  const steps = (warn ?? RENEWAL.warn).map(humanDuration).join(", ");
  return `${when}, ${key}; a person is warned ${steps} before the end of what is not renewed`;
}

function bindingWords(directory: string, eab: CaConfig["eab"]): string {
  if (eab) return `, with external account binding (key id ${eab.kid})`;
  return needsEab(directory) ? ", WITHOUT the external account binding that a new account there needs" : "";
}

function nodeWords(place: NodeConfig, mine: boolean): string {
  const { address, port, target } = place;
  const by = mine
    ? "deployed to by this host"
    : `deployed to where CERTHERD_NODE is ${hostOf(place) ?? place.name}`;
  return `${target.kind}, looked at on ${address}:${port}, ${by}`;
}

function limitWords({ certificates, domains }: CaLimits): string {
  const words = CERTIFICATE_LIMITS.flatMap((name) => {
    const limit = certificates[name];
    return limit ? [`${limit.count} ${LIMIT_WORDS[name]} in ${humanDuration(limit.period)}`] : [];
  });
  const own = Object.keys(domains).length;
  return [...words, ...(own > 0 ? [`${own} domains with their own`] : [])].join(", ") || "none known";
}
