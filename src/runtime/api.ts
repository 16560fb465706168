import { isIP } from "node:net";
import { buildApp } from "../api/app.ts";
import { listen } from "../api/server.ts";
import { dashboardFolder, version } from "../config/package.ts";
import { allPlaces, nodeNames } from "../config/terminations.ts";
import { Cache } from "../core/flow.ts";
import { policyOf } from "../core/relays.ts";
import { CallersRelays } from "../intake/relays.ts";
import { apiActions } from "./api-actions.ts";
import { apiTokens } from "./api-tokens.ts";
import { chainOf } from "./chain-files.ts";
import type { House } from "./house.ts";
import { importDeps } from "./imports.ts";
import { bucketDocument, budgetsOf, limitsDocument, limitsReport } from "./limits.ts";
import { Outlook } from "./outlook.ts";
import { planDocument } from "./plan-document.ts";
import { Wanted } from "./plan-specs.ts";
import { renewalPolicy } from "./renewals.ts";
import type { Service } from "./service.ts";
import { triage } from "./triage.ts";

/** The HTTP API and the queue dashboard. */
export async function startApi(house: House): Promise<Service & { url: string }> {
  const { config, redis, certificates, producer, alive, log } = house;
  const { book, how } = await apiTokens(config);
  const intake = importDeps(house);
  const relays = new CallersRelays(policyOf(config.mail), house.clock);
  const outlook = new Outlook(house);
  const app = await buildApp({
    redis,
    certificates,
    producer,
    alive,
    intake: { ...intake, context: { ...intake.context, relays } },
    actions: apiActions(house),
    limits: limitsSource(house),
    overview: {
      nodes: house.nodes,
      places: allPlaces(config.terminations).map(({ name, vipPort }) => ({ name, vipPort })),
      budgets: async (most) =>
        (await budgetsOf(house, most)).map(({ ca, ...bucket }) => ({ ca, ...bucketDocument(bucket) })),
      finishesAt: () => outlook.all(),
    },
    detail: {
      doneBy: (record) => outlook.of(record),
      chain: (id) => chainOf(house, id),
      renewal: renewalPolicy(house),
    },
    foresight: () => {
      const wanted = new Wanted(house);
      return {
        add: (spec) => wanted.add(spec),
        plan: async () => planDocument((await wanted.plan()).plan),
      };
    },
    doneBy: (standings) => outlook.latest(standings),
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
  return {
    url,
    close: async () => {
      await close();
      await outlook.close();
    },
  };
}

/** Milliseconds for which the look at all buckets serves for all who ask. */
const LIMITS_LIFETIME = 2_000;

function limitsSource(house: House): (most: number) => Promise<ReturnType<typeof limitsDocument>> {
  const cache = new Cache<ReturnType<typeof limitsDocument>>(house.clock, {
    lifetime: LIMITS_LIFETIME,
    failureLifetime: 0,
    most: 4,
  });
  return (most) => cache.get(String(most), async () => limitsDocument(await limitsReport(house, most)));
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
