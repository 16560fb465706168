import { directoryOf } from "../acme/directories.ts";
import { profileFault } from "../acme/profiles.ts";
import type { CaConfig, Config } from "../config/load.ts";
import { accountOf } from "../core/certificate.ts";
import type { Finding } from "./doctor.ts";
import type { House } from "./house.ts";
import { newTerms, termsSentence } from "./terms.ts";

/** Certificates looked at for CAs that are not configured any more. */
const LOOKED_AT = 500;

const WHENCE: Record<Config["caFrom"], string> = {
  CERTHERD_CA: "CERTHERD_CA says so",
  CERTHERD_CONFIG: "it is the first of cas in the configuration file",
  default: "built in, as neither CERTHERD_CA nor cas in a configuration file names one",
};

/** Which CA new certificates come from, and why that one. It never changes by itself. */
export function caInForce({ cas, caFrom, spillAfter }: Config): Finding {
  const [first, ...others] = cas;
  const more = others.map(({ name }) => name).join(", ");
  const rest =
    more === "" ? "" : ` ${spillAfter ? "It spills over to" : "For rows that name them"}: ${more}.`;
  const detail = `${first.name} (${first.directory}); ${WHENCE[caFrom]}.${rest}`;
  return { what: "default ca", ok: true, detail, exitCode: 0 };
}

/** Whether each CA has the profile that the configuration asks for, and the terms that were agreed to. */
export async function* examineOffers(house: House): AsyncGenerator<Finding> {
  for (const ca of house.config.cas) {
    const facts = await directoryOf(ca, house.clock.now()).catch(() => undefined);
    // That it cannot be read is said elsewhere.
    if (!facts) continue;
    if (ca.profile !== undefined) {
      const fault = profileFault(ca, ca.profile, facts);
      const detail = fault?.message ?? `"${ca.profile}" is offered: ${facts.profiles?.get(ca.profile)}`;
      yield { what: `profile ${ca.name}`, ok: !fault, detail, exitCode: 1 };
    }
    const found = newTerms(ca, await house.accountFiles.load(ca.name), facts.termsOfService);
    if (found)
      yield { what: `terms ${ca.name}`, ok: false, detail: termsSentence(ca.name, found), exitCode: 1 };
  }
}

/** CAs that certificates or accounts are of, and that are not configured any more. */
export async function* examineStrangers(house: House): AsyncGenerator<Finding> {
  const { accountFiles, certificates, config } = house;
  const configured = new Set(config.cas.map(({ name }) => name));
  const [records, accounts] = await Promise.all([
    certificates.page({ limit: LOOKED_AT }),
    accountFiles.known(),
  ]);
  const strangers = new Map<string, { from: number; asking: number }>();
  const strange = (ca: string) => {
    const counts = strangers.get(ca) ?? { from: 0, asking: 0 };
    strangers.set(ca, counts);
    return counts;
  };
  for (const ca of accounts) if (!configured.has(ca)) strange(ca);
  for (const record of records) {
    const asked = accountOf(record, config.cas[0].name);
    if (!configured.has(asked)) strange(asked).asking++;
    else if (record.leaf?.ca !== undefined && !configured.has(record.leaf.ca)) strange(record.leaf.ca).from++;
  }
  const looked = records.length < LOOKED_AT ? "" : ` (of the first ${LOOKED_AT})`;
  for (const [ca, { from, asking }] of strangers)
    yield strangerFinding(ca, config.cas[0], { from, asking }, looked);
}

function strangerFinding(
  ca: string,
  first: CaConfig,
  { from, asking }: { from: number; asking: number },
  looked: string,
): Finding {
  const what = `ca ${ca}`;
  if (asking > 0)
    return {
      what,
      ok: false,
      detail: `It is not configured any more, and ${asking} certificates${looked} are to be ordered there: nothing will. Put it back into cas, or import their rows with another CA.`,
      exitCode: 1,
    };
  const detail =
    from > 0
      ? `It is not configured any more; ${from} certificates${looked} are from it, and will be renewed at ${first.name}.`
      : "It is not configured any more; its account is still there.";
  return { what, ok: true, detail, exitCode: 0 };
}
