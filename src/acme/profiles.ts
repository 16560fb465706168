import { AppError } from "../core/errors.ts";
import { KNOWN_CAS, knownCaOf } from "./cas.ts";
import { directoryOf } from "./directories.ts";
import type { DirectoryFacts } from "./directory.ts";

/** Milliseconds: what was not offered that long ago may be offered now. */
const LOOK_AGAIN = 60_000;

interface ProfileCa {
  name: string;
  directory: string;
  root?: string;
}

/**
 * Throws unless the CA offers that profile, and for that many names. The directory is asked, once an hour, and nothing
 * that a CA counts (draft-ietf-acme-profiles §4: an order with another profile is refused).
 */
export async function requireProfile(
  ca: ProfileCa,
  profile: string,
  names: number,
  now: number,
): Promise<void> {
  let facts = await directoryOf(ca, now);
  if (!facts.profiles?.has(profile)) facts = await directoryOf(ca, now, LOOK_AGAIN);
  const fault = profileFault(ca, profile, facts) ?? namesFault(ca, profile, names);
  if (fault) throw fault;
}

/** What is wrong with asking for that profile there. */
export function profileFault(
  ca: Pick<ProfileCa, "name">,
  profile: string,
  { profiles }: Pick<DirectoryFacts, "profiles">,
): AppError | undefined {
  if (profiles?.has(profile)) return undefined;
  const offered =
    profiles && profiles.size > 0 ? `it offers ${[...profiles.keys()].join(", ")}` : "it has none";
  return new AppError(
    `${ca.name} offers no profile "${profile}": ${offered}. Correct Profile in the row, or profile of that CA in the configuration; then: certherd retry.`,
    { code: "profile_unknown", disposition: "attention" },
  );
}

/** The most names of one certificate, where the CA says it of this profile; undefined where nothing is known. */
export function mostNames(directory: string, profile: string): number | undefined {
  const known = knownCaOf(directory);
  return known === undefined ? undefined : KNOWN_CAS[known]?.profiles?.[profile]?.names;
}

export function namesFault(
  ca: Pick<ProfileCa, "name" | "directory">,
  profile: string,
  names: number,
): AppError | undefined {
  const most = mostNames(ca.directory, profile);
  if (most === undefined || names <= most) return undefined;
  return new AppError(
    `${ca.name} puts at most ${most} names into a certificate with the profile "${profile}", and this one has ${names}. Use another profile, or several rows.`,
    { code: "profile_names", disposition: "attention" },
  );
}
