import { AppError } from "../core/errors.ts";
import { type DirectoryFacts, readDirectory } from "./directory.ts";

/** Milliseconds for which is believed what a directory said, and that it could not be read. */
const FRESH = 3_600_000;
const FAILED = 10_000;

interface Read {
  at: number;
  facts: Promise<DirectoryFacts>;
  failed: boolean;
}

/** By the directory's URL, for all of this process. */
const known = new Map<string, Read>();

/**
 * What a CA's directory says, read once an hour, or once within `freshFor` milliseconds; whoever asks meanwhile waits
 * for the same answer. Throws `ca_unreachable` or `ca_answer`, for some
 * seconds without trying again, as many may ask.
 */
export async function directoryOf(
  ca: { directory: string; root?: string },
  now: number,
  freshFor = FRESH,
): Promise<DirectoryFacts> {
  const before = known.get(ca.directory);
  if (before && now - before.at < Math.min(freshFor, before.failed ? FAILED : FRESH))
    return await before.facts;
  const read: Read = { at: now, facts: readWhole(ca), failed: false };
  known.set(ca.directory, read);
  try {
    return await read.facts;
  } catch (error) {
    read.failed = true;
    throw error;
  }
}

/** An error page says nothing of what the CA offers. */
async function readWhole(ca: { directory: string; root?: string }): Promise<DirectoryFacts> {
  const facts = await readDirectory(ca);
  if (facts.newOrder) return facts;
  throw new AppError(`${ca.directory} has answered with no ACME directory.`, {
    code: "ca_answer",
    disposition: "transient",
    unsent: true,
  });
}
