import { type DirectoryFacts, readDirectory } from "./directory.ts";

/** Milliseconds for which is believed what a directory said. */
const FRESH = 3_600_000;

interface Read {
  at: number;
  facts: Promise<DirectoryFacts>;
}

/** By the directory's URL, for all of this process. */
const known = new Map<string, Read>();

/**
 * What a CA's directory says, read once an hour, or once within `freshFor` milliseconds; whoever asks meanwhile waits
 * for the same answer. Throws `ca_unreachable`, which is not kept.
 */
export async function directoryOf(
  ca: { directory: string; root?: string },
  now: number,
  freshFor = FRESH,
): Promise<DirectoryFacts> {
  const read = known.get(ca.directory);
  if (read && now - read.at < freshFor) return await read.facts;
  const facts = readDirectory(ca);
  known.set(ca.directory, { at: now, facts });
  try {
    return await facts;
  } catch (error) {
    if (known.get(ca.directory)?.facts === facts) known.delete(ca.directory);
    throw error;
  }
}
