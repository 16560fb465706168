import { readdir, readFile, realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { StunnelTarget } from "../../../config/terminations.ts";
import { AppError } from "../../../core/errors.ts";
import { isCode } from "../../../store/atomic.ts";
import { type Line, parseConfiguration, patternsOf } from "./configuration.ts";
import { parseServices, type Service } from "./services.ts";

/** What stands in stunnel's configuration, ours and others'. */
export interface Layout {
  main: Line[];
  present: Service[];
  /** Names and patterns that stunnel comes to before ours. */
  before: string[];
  /** PEM files that others' services use. */
  foreign: ReadonlySet<string>;
}

/** Reads it all. Throws `node_misconfigured` where names of ours could not be served from there. */
export async function readLayout(config: StunnelTarget): Promise<Layout> {
  const main = parseConfiguration(await readMain(config.config));
  const include = await includeOf(main, config);
  const files = await otherFiles(config.services);
  const earlier = files.filter(({ name }) => name < basename(config.services));
  const before = [main.filter(({ at }) => at < include.at), ...earlier.map(({ lines }) => lines)];
  const others = [main, ...files.map(({ lines }) => lines)].flat();
  return {
    main,
    present: await presentServices(config),
    before: patternsOf(before.flat(), config.master),
    foreign: new Set(others.flatMap(({ key, value }) => (key === "cert" || key === "key" ? [value] : []))),
  };
}

/** Our own services as the file has them; none where there is no file yet. */
export async function presentServices({ services }: StunnelTarget): Promise<Service[]> {
  const text = await readFile(services, "utf8").catch((error: unknown) => {
    if (isCode(error, "ENOENT")) return "";
    throw misconfigured(
      `Certherd's services cannot be read (${error instanceof Error ? error.message : error}). Let this user read and write the file.`,
      error,
    );
  });
  return parseServices(text, services);
}

async function readMain(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((error: unknown) => {
    throw misconfigured(
      `stunnel's main configuration cannot be read (${error instanceof Error ? error.message : error}). Correct the target's config, or let this user read it.`,
      error,
    );
  });
}

/** The line that includes our folder, behind the master that our services belong to. */
async function includeOf(
  main: readonly Line[],
  { config, services, master, certDir }: StunnelTarget,
): Promise<Line> {
  const folder = dirname(services);
  const accept = main.find(({ section, key }) => section === master && key === "accept");
  if (!accept)
    throw misconfigured(
      `${config} has no service [${master}] that accepts connections, so that no name can belong to it. Add the lines "[${master}]", "accept = 443", "connect = 127.0.0.1:80" and "cert = " with a default certificate, and behind them "include = ${folder}".`,
    );
  const wanted = await canonical(folder);
  let found: Line | undefined;
  for (const line of main.filter(({ key }) => key === "include"))
    if ((await canonical(resolve(dirname(config), line.value))) === wanted) found ??= line;
  if (!found)
    throw misconfigured(
      `${config} does not include the folder of ${services}. Add the line "include = ${folder}" at its end.`,
    );
  if (found.at < accept.at)
    throw misconfigured(
      `${config} includes ${folder} before the service [${master}], which stunnel then does not know yet. Move line ${found.at} to the end.`,
    );
  if (wanted === (await canonical(certDir)))
    throw misconfigured(
      `The PEM files would be in ${folder}, all of which stunnel reads as configuration. Give the target another certDir.`,
    );
  return found;
}

async function canonical(path: string): Promise<string> {
  return await realpath(path).catch(() => resolve(path));
}

/** stunnel reads every plain file of the folder, hidden ones too, and none of a subfolder. */
async function otherFiles(services: string): Promise<{ name: string; lines: Line[] }[]> {
  const folder = dirname(services);
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw misconfigured(
      `${folder}, from where stunnel has its services, cannot be read (${error instanceof Error ? error.message : error}). Make the folder, for this user to write in.`,
      error,
    );
  });
  const names = entries
    .filter((entry) => !entry.isDirectory() && entry.name !== basename(services))
    .map(({ name }) => name);
  return await Promise.all(
    names.map(async (name) => ({
      name,
      lines: parseConfiguration(await readFile(join(folder, name), "utf8").catch(() => "")),
    })),
  );
}

/**
 * A PEM that is gone keeps stunnel from loading anything. One look at each folder, as there may be 100,000.
 * Throws `node_misconfigured`.
 */
export async function checkPems(services: readonly Service[], path: string): Promise<void> {
  const listed = new Map<string, Set<string>>();
  for (const { cert, name } of services) {
    const folder = dirname(cert);
    const names = listed.get(folder) ?? new Set(await readdir(folder).catch(() => []));
    listed.set(folder, names);
    if (!names.has(basename(cert)))
      throw misconfigured(
        `${cert} is missing, and stunnel would not load its configuration without it. Put it back, or take the five lines of ${name} out of ${path}.`,
      );
  }
}

function misconfigured(message: string, cause?: unknown): AppError {
  return new AppError(message, { code: "node_misconfigured", disposition: "node", cause });
}
