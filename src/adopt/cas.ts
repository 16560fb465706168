import { caNameOf } from "../acme/cas.ts";
import type { KnownAs } from "./record.ts";

/** Whether two directories are the same CA's: hosts in any case, and with or without a last slash. */
export function sameDirectory(a: string, b: string): boolean {
  return tidy(a) === tidy(b);
}

function tidy(directory: string): string {
  return URL.canParse(directory) ? new URL(directory).href.replace(/\/$/, "") : directory;
}

/** The CA with that directory as it goes here; undefined where the other client does not tell. */
export function caOf(
  directory: string | undefined,
  cas: readonly { name: string; directory: string }[],
): KnownAs | undefined {
  if (directory === undefined || !URL.canParse(directory)) return undefined;
  const at = cas.findIndex((ca) => sameDirectory(ca.directory, directory));
  const name = cas[at]?.name ?? caNameOf(directory);
  return { name, configured: at >= 0, preferred: at === 0 };
}
