import { tellOfIncidents } from "../renewal/incident.ts";
import { renewalTurn } from "../renewal/turn.ts";
import { CaAccount } from "./accounts.ts";
import { Forecast } from "./forecast.ts";
import type { House } from "./house.ts";
import { renewalDeps } from "./renewals.ts";
import { every, type Service } from "./service.ts";

/** Asks the CAs when to renew, and renews what is due. */
export function startRenew(house: House): Service {
  const { config, redis, clock, certificates, notifier, incidents, log } = house;
  const accounts = config.cas.map((ca) => new CaAccount(ca, config, redis, clock));
  const deps = renewalDeps(house, accounts);
  const stopping = new AbortController();
  const incidentDeps = {
    clock,
    incidents,
    total: () => certificates.count(),
    doneBy: () => new Forecast(house).all(),
    tell: async (id: string, title: string, detail: string) => {
      log(`${title}.`);
      const record = await certificates.get(id);
      if (record) await notifier.warn(record, title, detail);
    },
  };
  const turns = every(config.renewal.look, house, async () => {
    const { queued } = await renewalTurn(deps, stopping.signal);
    if (queued > 0) log(`Renewing ${queued} certificates.`);
    await tellOfIncidents(
      incidentDeps,
      config.cas.map(({ name }) => name),
    );
  });
  return {
    close: async () => {
      stopping.abort();
      await turns.close();
      await Promise.all(accounts.map((account) => account.close()));
    },
  };
}
