import { directoryOf } from "../acme/directories.ts";
import { requireProfile } from "../acme/profiles.ts";
import type { CaConfig } from "../config/load.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import { asAppError } from "../core/errors.ts";
import { checkEach, checkNames } from "../preflight/check.ts";
import { checkHandler } from "../preflight/handler.ts";
import { createPreflight, type Preflight } from "../preflight/preflight.ts";
import { combine, type NameVerdict, type Verdict } from "../preflight/verdict.ts";
import { consume } from "../queue/consumer.ts";
import { queueNames } from "../queue/names.ts";
import { RespondersInRedis } from "../respond/directory.ts";
import type { AccountFiles } from "../store/accounts.ts";
import { ProbeHistory } from "../store/probe-history.ts";
import { DnsInHouse } from "./dns01.ts";
import type { House } from "./house.ts";
import type { Service } from "./service.ts";

/** Certificates checked at once in one process; most of that is waiting for name servers. */
const CONCURRENCY = 50;
/** Milliseconds for which is believed what was found of an account's names in CAA records. */
const FRESH = 60_000;
/** Milliseconds after a check within which an order relies on it; a queue may be days long. */
const STILL_TRUE = 600_000;

/** The checks of this process, for all accounts. */
export class Checks {
  readonly #house: House;
  readonly #preflight: Preflight;
  readonly #responders: RespondersInRedis;
  readonly #accounts = new Map<string, { at: number; caa: Promise<Caa> }>();

  constructor(house: House) {
    const { config, challenges, redis, clock } = house;
    this.#house = house;
    this.#responders = new RespondersInRedis(house.responders, clock);
    const dns = new DnsInHouse(house);
    this.#preflight = createPreflight({
      resolvers: config.dns,
      vips: config.vips,
      httpPort: config.httpPort,
      store: {
        put: (token, keyAuthorization) => challenges.put([{ token, keyAuthorization }]),
        drop: (token) => challenges.drop([token]),
      },
      history: new ProbeHistory(redis),
      dnsPlace: (name) => dns.place(name),
      clock,
    });
  }

  async ready(port: number): Promise<void> {
    await this.#responders.ready(port);
  }

  async check(record: Pick<CertificateRecord, "spec">, ca: CaConfig): Promise<Verdict> {
    const fault = await profileVerdict(record, ca, this.#house.clock.now());
    return fault ?? (await checkNames(this.#preflight, await this.#request(record, ca)));
  }

  /** Name by name, and what it means for the certificate. */
  async triage(
    record: Pick<CertificateRecord, "spec">,
    ca: CaConfig,
  ): Promise<{ verdict: Verdict; names: NameVerdict[] }> {
    const names = await checkEach(this.#preflight, await this.#request(record, ca));
    return { verdict: combine(names), names };
  }

  /** Whether an order may still rely on the check before it, which may be days old. */
  async leadsHere(record: CertificateRecord, ca: CaConfig): Promise<boolean> {
    const { config, clock } = this.#house;
    if (config.preflight !== "require") return true;
    if (record.checkedAt !== undefined && clock.now() - record.checkedAt < STILL_TRUE) return true;
    return (await this.check(record, ca)).kind === "ready";
  }

  close(): void {
    this.#preflight.close();
  }

  async #request({ spec }: Pick<CertificateRecord, "spec">, ca: CaConfig) {
    return {
      names: spec.names,
      acmePort: spec.acmePort,
      method: spec.challenge,
      ...(await this.#caa(ca)),
    };
  }

  async #caa(ca: CaConfig): Promise<Caa> {
    const now = this.#house.clock.now();
    const known = this.#accounts.get(ca.name);
    if (known && now - known.at < FRESH) return await known.caa;
    const caa = caaOf(ca, this.#house.accountFiles, now);
    this.#accounts.set(ca.name, { at: now, caa });
    return await caa;
  }
}

/** A profile that cannot be ordered is told now, and not when its turn comes, which may be days later. */
async function profileVerdict(
  { spec }: Pick<CertificateRecord, "spec">,
  ca: CaConfig,
  now: number,
): Promise<Verdict | undefined> {
  const profile = spec.profile ?? ca.profile;
  if (profile === undefined) return undefined;
  try {
    await requireProfile(ca, profile, spec.names.length, now);
    return undefined;
  } catch (thrown) {
    const { code, disposition, message } = asAppError(thrown);
    // A CA that cannot be asked now is asked again before the order.
    return disposition === "attention" ? { kind: "blocked", code, detail: message } : undefined;
  }
}

interface Caa {
  identities: readonly string[];
  accountUri?: string;
}

/** What the CA says of itself counts beside what is known of it; a CA that does not answer is no reason to wait. */
async function caaOf(ca: CaConfig, files: AccountFiles, now: number): Promise<Caa> {
  const [directory, account] = await Promise.all([
    directoryOf(ca, now).catch(() => undefined),
    files.load(ca.name),
  ]);
  const identities = [...new Set([...ca.caaIdentities, ...(directory?.caaIdentities ?? [])])];
  const known = account?.directory === ca.directory ? account.url : undefined;
  return { identities, ...(known === undefined ? {} : { accountUri: known }) };
}

/** Checks what is enqueued for one account. */
export function startCheck(house: House, checks: Checks, ca: CaConfig): Service {
  const { redis, certificates, certificateFiles, producer, notifier, clock, config, log } = house;
  return consume({
    queue: queueNames.check(ca.name),
    redis,
    concurrency: CONCURRENCY,
    handle: checkHandler({
      account: ca.name,
      certificates,
      files: certificateFiles,
      listener: notifier,
      producer,
      clock,
      mode: config.preflight,
      ready: (port) => checks.ready(port),
      check: (record) => checks.check(record, ca),
      schedule: config.recheck,
    }),
    onFault: (error, job) => log(`${job.id}: ${error.stack ?? error.message}`),
  });
}
