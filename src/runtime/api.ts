import { isIP } from "node:net";
import { buildApp } from "../api/app.ts";
import type { DoneBy } from "../api/import-progress.ts";
import { listen } from "../api/server.ts";
import { dashboardFolder, version } from "../config/package.ts";
import { nodeNames } from "../config/terminations.ts";
import { policyOf } from "../core/relays.ts";
import { CallersRelays } from "../intake/relays.ts";
import { apiActions } from "./api-actions.ts";
import { apiTokens } from "./api-tokens.ts";
import { Forecast } from "./forecast.ts";
import type { House } from "./house.ts";
import { importDeps } from "./imports.ts";
import { limitsDocument, limitsReport } from "./limits.ts";
import { planDocument } from "./plan-document.ts";
import { planOf } from "./plan-specs.ts";
import type { Service } from "./service.ts";
import { triage } from "./triage.ts";

/** Milliseconds. */
const FORECAST_KEPT = 30_000;

/** The HTTP API and the queue dashboard. */
export async function startApi(house: House): Promise<Service & { url: string }> {
  const { config, redis, certificates, producer, alive, log } = house;
  const { book, how } = await apiTokens(config);
  const intake = importDeps(house);
  const relays = new CallersRelays(policyOf(config.mail), house.clock);
  const app = await buildApp({
    redis,
    certificates,
    producer,
    alive,
    intake: { ...intake, context: { ...intake.context, relays } },
    actions: apiActions(house),
    limits: async () => limitsDocument(await limitsReport(house)),
    plan: async (specs) => planDocument((await planOf(house, specs)).plan),
    doneBy: doneBy(house),
    triage: (specs, each, signal) => triage(house, specs, each, signal),
    audit: house.audit,
    tokens: book,
    http: config.http,
    about: { version: version(), cas: config.cas.map((ca) => ca.name) },
    accounts: config.cas.map((ca) => ca.name),
    caLimits: new Map(config.cas.map(({ name, limits }) => [name, limits])),
    webhooks: config.webhooks.map(({ name }) => name),
    nodes: nodeNames(config.terminations),
    dashboard: dashboardFolder(),
    home: config.home,
    maxImportBytes: config.maxImportBytes,
    notify: config.mail.notify,
    log,
  });
  const { url, close } = await listen(app, config.listen);
  const here = isLoopback(config.listen.host);
  log(`The dashboard and the API are at ${url}/${here ? " (for this host alone)" : ""}. ${how}`);
  if (!here)
    log(
      "It speaks plain HTTP, and not to this host alone: put a TLS proxy before it (docs/operations.md), as tokens would go over the wire in the clear.",
    );
  return { url, close };
}

/** One forecast for all who ask within half a minute, as each is the plan of all that is in line. */
function doneBy(house: House): DoneBy {
  let forecast = new Forecast(house);
  let until = 0;
  return async (standing) => {
    const now = house.clock.now();
    if (now >= until) {
      forecast = new Forecast(house);
      until = now + FORECAST_KEPT;
    }
    try {
      return await forecast.of(standing);
    } catch (error) {
      until = 0;
      throw error;
    }
  };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
