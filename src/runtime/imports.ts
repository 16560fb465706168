import type { Config } from "../config/load.ts";
import type { ImportDeps } from "../intake/import.ts";
import type { House } from "./house.ts";

/** What taking in rows needs, with the configuration's part in checking them. */
export function importDeps(house: House): ImportDeps {
  const { config, imports, importFiles, enqueuer, clock } = house;
  return {
    imports,
    files: importFiles,
    enqueuer,
    clock,
    context: rowContext(config),
  };
}

/** The configuration's part in checking a row. */
export function rowContext(config: Config): ImportDeps["context"] {
  return {
    knownCas: config.cas.map((ca) => ca.name),
    dns01: config.dns01.providers.length > 0,
    ...(config.mail.from === undefined ? {} : { mailFrom: config.mail.from }),
    ...(config.vipPorts === undefined ? {} : { vipPorts: config.vipPorts }),
  };
}
