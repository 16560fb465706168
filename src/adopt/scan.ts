import { namesKey } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { asAppError, storedError } from "../core/errors.ts";
import { grouped } from "../core/grouped.ts";
import { caOf } from "./cas.ts";
import { type Candidate, chooseOne } from "./choose.ts";
import type { AdoptedCertificate } from "./document.ts";
import { type Examined, examine } from "./examine.ts";
import { type Found, refuse } from "./found.ts";
import { normal } from "./leaf-names.ts";
import type { AdoptDeps, AdoptRequest } from "./ports.ts";
import { challengeFor, type KnownAs } from "./record.ts";
import { warningsFor } from "./warnings.ts";

/** One entry there that is a certificate, and what becomes of it. */
export interface Scanned {
  result: AdoptedCertificate;
  /** Missing where it cannot, or need not, be taken over. */
  candidate?: Candidate;
}

/** Folders read at once. */
const AT_ONCE = 16;

/** Looks into all that is there, and keeps no PEM of it; of several with one first name, one is chosen. */
export async function scan(
  deps: AdoptDeps,
  request: Pick<AdoptRequest, "only" | "onProgress">,
): Promise<Scanned[]> {
  const entries = await deps.home.entries();
  const scanned: Scanned[] = [];
  for (let from = 0; from < entries.length; from += AT_ONCE) {
    const some = await Promise.all(entries.slice(from, from + AT_ONCE).map((entry) => scanOne(deps, entry)));
    scanned.push(...some.filter((one) => one !== undefined));
    const refused = scanned.filter(({ result }) => result.action === "refused").length;
    request.onProgress?.("read", Math.min(from + AT_ONCE, entries.length), entries.length, refused);
  }
  const wanted = onlyThose(scanned, request.only);
  leaveTwins(wanted, deps.now());
  return wanted.sort((a, b) => a.result.name.localeCompare(b.result.name));
}

async function scanOne(deps: AdoptDeps, entry: string): Promise<Scanned | undefined> {
  const name = deps.home.nameOf(entry);
  const result: AdoptedCertificate = { name, names: [], entry, action: "refused", warnings: [] };
  let isCertificate = true;
  const candidate = await orRefused(result, async () => {
    const found = await deps.home.read(entry);
    if (found === undefined) isCertificate = false;
    if (found === undefined || found === "given up") return undefined;
    result.afterRenewal = found.afterRenewal;
    result.name = normal(found.name);
    return describe(deps, found, result);
  });
  if (!isCertificate) return undefined;
  if (candidate) return { result, candidate };
  if (result.error === undefined) {
    result.action = "left";
    result.detail = `${deps.home.kind} was told not to renew it any more`;
  }
  return { result };
}

/** What the table and the document show of it, and what is needed to go on. */
function describe(
  { cas, dnsProviders, now }: AdoptDeps,
  found: Found,
  result: AdoptedCertificate,
): Candidate {
  const examined = examine(found, now());
  const { id, names, keyType, leaf } = examined;
  const ca = caOf(found.directory, cas);
  const challenge = challengeFor(names, found.challenge);
  result.action = "adopt";
  result.name = names[0] ?? "";
  result.names = names;
  if (ca) result.ca = ca.name;
  if (found.directory !== undefined) result.directory = found.directory;
  result.notAfter = rfc3339(leaf.notAfter);
  result.serial = leaf.serial;
  result.keyType = examined.oddKey ?? keyType;
  result.challenge = challenge;
  if (found.validatedBy !== undefined) result.validatedBy = found.validatedBy;
  result.warnings = warningsFor(examined, found, ca, { ca: cas[0].name, dnsProviders });
  const { notBefore, notAfter, renewAt, serial } = leaf;
  return {
    entry: found.entry,
    id,
    names,
    keyType,
    challenge,
    leaf: { notBefore, notAfter, renewAt, serial },
    ...(found.directory === undefined ? {} : { directory: found.directory }),
    ...(found.account === undefined ? {} : { account: found.account }),
  };
}

/** Those that were named, by first name or folder; a name that is nowhere is told. */
function onlyThose(scanned: Scanned[], only: readonly string[] | undefined): Scanned[] {
  if (only === undefined) return scanned;
  const wanted = new Map(only.map((name) => [normal(name), false]));
  const chosen = scanned.filter(({ result }) => {
    const hit = [result.name, result.entry].filter((name) => wanted.has(normal(name)));
    for (const name of hit) wanted.set(normal(name), true);
    return hit.length > 0;
  });
  const missing = [...wanted].filter(([, isThere]) => !isThere).map(([name]) => name);
  return [
    ...chosen,
    ...missing.map((name): Scanned => {
      const error = refuse(
        "adopt_not_found",
        "There is no certificate of that first name, nor such a folder.",
      );
      return {
        result: { name, names: [], entry: name, action: "refused", warnings: [], error: storedError(error) },
      };
    }),
  ];
}

/** Of several with one first name only one can be Certherd's; the others are told. */
function leaveTwins(scanned: readonly Scanned[], now: number): void {
  const candidates = scanned.filter((one): one is Required<Scanned> => one.candidate !== undefined);
  for (const twins of grouped(candidates, ({ candidate }) => candidate.id).values()) {
    if (twins.length === 1) continue;
    const chosen = chooseOne(
      twins.map(({ candidate }) => candidate),
      now,
    );
    for (const twin of twins) {
      const { candidate, result } = twin;
      if (!chosen || candidate === chosen) continue;
      const others =
        namesKey(candidate.names) === namesKey(chosen.names) ? "" : ", though it has other names";
      result.action = "left";
      result.detail = `${chosen.entry} (${chosen.keyType}, until ${rfc3339(chosen.leaf.notAfter)}) is taken for that name${others}`;
      delete (twin as Scanned).candidate;
    }
  }
}

/** The whole of it, once more. */
export async function takeUp(
  { home, cas, now }: AdoptDeps,
  { entry, id }: Candidate,
): Promise<{ examined: Examined; found: Found; ca: KnownAs | undefined }> {
  const found = await home.read(entry);
  const examined = found === undefined || found === "given up" ? undefined : examine(found, now());
  if (examined?.id !== id || found === undefined || found === "given up")
    throw refuse("adopt_no_certificate", "It was changed there in between. Adopt it again.");
  return { examined, found, ca: caOf(found.directory, cas) };
}

/** What goes wrong with one certificate is its own; what is wrong with the disk or Redis ends it all. */
export async function orRefused<T>(
  result: AdoptedCertificate,
  action: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await action();
  } catch (thrown) {
    const error = asAppError(thrown);
    if (error.disposition !== "attention") throw thrown;
    result.action = "refused";
    result.error = storedError(error);
    return undefined;
  }
}
