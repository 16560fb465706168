import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { buildApp } from "../api/app.ts";
import { listen } from "../api/server.ts";
import { TokenBook } from "../api/tokens.ts";
import { allPlaces, nodeNames } from "../config/terminations.ts";
import { AppError } from "../core/errors.ts";
import { Cache } from "../core/flow.ts";
import { createAtomic, SECRET_FILE } from "../store/atomic.ts";
import { apiActions } from "./api-actions.ts";
import { chainOf } from "./chain-files.ts";
import type { House } from "./house.ts";
import { importDeps } from "./imports.ts";
import { bucketDocument, budgetsOf, limitsDocument, limitsReport } from "./limits.ts";
import { Outlook } from "./outlook.ts";
import { planDocument } from "./plan-document.ts";
import { planOf } from "./plan-specs.ts";
import { renewalPolicy } from "./renewals.ts";
import type { Service } from "./service.ts";

/** The HTTP API and the queue dashboard. */
export async function startApi(house: House): Promise<Service & { url: string }> {
  const { config, redis, certificates, producer, alive, log } = house;
  const outlook = new Outlook(house);
  const app = await buildApp({
    redis,
    certificates,
    producer,
    alive,
    intake: importDeps(house),
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
    plan: async (specs) => planDocument((await planOf(house, specs)).plan),
    audit: house.audit,
    tokens: await tokenBook(house),
    accounts: config.cas.map((ca) => ca.name),
    caLimits: new Map(config.cas.map(({ name, limits }) => [name, limits])),
    webhooks: config.webhooks.map(({ name }) => name),
    nodes: nodeNames(config.terminations),
    home: config.home,
    maxImportBytes: config.maxImportBytes,
    notify: config.mail.notify,
    log,
  });
  const { url, close } = await listen(app, config.listen);
  log(`The API listens on ${url}.`);
  if (!isLoopback(config.listen.host))
    log("It speaks plain HTTP: put a TLS proxy before it, as tokens would go over the wire in the clear.");
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

/** Those of the configuration; where it has none, one that is made at the first start, as an open API is no choice. */
async function tokenBook({ config, log }: House): Promise<TokenBook> {
  if (config.apiToken !== undefined || config.tokens.length > 0)
    return new TokenBook(config.apiToken, config.tokens);
  const path = join(config.home, "api-token");
  await createAtomic(path, `${randomBytes(32).toString("base64url")}\n`, SECRET_FILE);
  const token = (await readFile(path, "utf8")).trim();
  if (token === "")
    throw new AppError(`${path} holds no token; delete it to have a new one made.`, {
      code: "api_token_empty",
      disposition: "usage",
    });
  log(`The API's token is in ${path}.`);
  return new TokenBook(token, []);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
