import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { buildApp } from "../api/app.ts";
import type { DoneBy } from "../api/import-progress.ts";
import { listen } from "../api/server.ts";
import { TokenBook } from "../api/tokens.ts";
import { nodeNames } from "../config/terminations.ts";
import { AppError } from "../core/errors.ts";
import { createAtomic, SECRET_FILE } from "../store/atomic.ts";
import { apiActions } from "./api-actions.ts";
import { Forecast } from "./forecast.ts";
import type { House } from "./house.ts";
import { importDeps } from "./imports.ts";
import { limitsDocument, limitsReport } from "./limits.ts";
import { planDocument } from "./plan-document.ts";
import { Wanted } from "./plan-specs.ts";
import type { Service } from "./service.ts";
import { triage } from "./triage.ts";

/** Milliseconds. */
const FORECAST_KEPT = 30_000;

/** The HTTP API and the queue dashboard. */
export async function startApi(house: House): Promise<Service & { url: string }> {
  const { config, redis, certificates, producer, alive, log } = house;
  const app = await buildApp({
    redis,
    certificates,
    producer,
    alive,
    intake: importDeps(house),
    actions: apiActions(house),
    limits: async () => limitsDocument(await limitsReport(house)),
    foresight: () => {
      const wanted = new Wanted(house);
      return {
        add: (spec) => wanted.add(spec),
        plan: async () => planDocument((await wanted.plan()).plan),
      };
    },
    doneBy: doneBy(house),
    triage: (specs, each, signal) => triage(house, specs, each, signal),
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
