import { openAccount } from "../acme/account.ts";
import { type AccountAtCa, agreeToTerms, askForAccount } from "../acme/account-at-ca.ts";
import { directoryOf } from "../acme/directories.ts";
import { requireProfile } from "../acme/profiles.ts";
import { fetchRenewalInfo, type RenewalInfo } from "../acme/renewal-info.ts";
import type { AcmeSession } from "../acme/session.ts";
import { type Asked, openEndpoint } from "../acme/transport.ts";
import type { CaConfig, Config } from "../config/load.ts";
import type { CertificateRecord } from "../core/certificate.ts";
import { type Clock, rfc3339 } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import type { Account } from "../issuance/ports.ts";
import { Breaker } from "../limits/breaker.ts";
import { Ledger } from "../limits/ledger.ts";
import { Pacer } from "../limits/pacer.ts";
import { refusalOf } from "../limits/refusals.ts";
import type { RequestClass } from "../limits/table.ts";
import { generateKey } from "../pki/keys.ts";
import type { AccountFiles } from "../store/accounts.ts";
import type { Redis } from "../store/redis.ts";
import { openStores } from "../store/stores.ts";
import { Tally } from "../store/tally.ts";

const USER_AGENT = "certherd/0.1 (+acme-client)";
/** Milliseconds in which an account that the CA has forgotten is registered again once, and not more often. */
const RENEW_EVERY = 3_600_000;

type AccountConfig = Pick<Config, "home" | "node" | "breaker" | "storeKey" | "renewal">;

/** The account of one CA, opened when it is first needed; `close` ends its connections. */
export class CaAccount implements Account {
  readonly name: string;
  readonly directory: string;
  readonly ledger: Ledger;
  readonly breaker: Breaker;
  readonly #node: string;
  readonly #ari: boolean;
  readonly #ca: CaConfig;
  readonly #files: AccountFiles;
  readonly #clock: Clock;
  readonly #pacer: Pacer;
  readonly #tally: Tally;
  readonly #closeEndpoint: () => void;
  #session: Promise<AcmeSession> | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  /** The session that was given up last. */
  #lost: AcmeSession | undefined;

  constructor(
    ca: CaConfig,
    { home, node, breaker, storeKey, renewal }: AccountConfig,
    redis: Redis,
    clock: Clock,
  ) {
    this.name = ca.name;
    this.directory = ca.directory;
    this.ledger = new Ledger(redis, ca.name, ca.limits);
    this.breaker = new Breaker(redis, ca.name, breaker);
    this.#node = node;
    this.#ari = renewal.ari;
    this.#ca = ca;
    this.#files = openStores(home, redis, storeKey).accounts;
    this.#clock = clock;
    this.#pacer = new Pacer(redis, ca.name, ca.limits);
    this.#tally = new Tally(redis);
    this.#closeEndpoint = openEndpoint({
      directory: ca.directory,
      userAgent: USER_AGENT,
      pace: (url, method) => this.#pacer.turn(this.#classOf(url, method)),
      answered: (asked) => this.#count(asked),
      ...(ca.root === undefined ? {} : { root: ca.root }),
    });
  }

  async profileFor({ spec }: Pick<CertificateRecord, "spec">): Promise<string | undefined> {
    const profile = spec.profile ?? this.#ca.profile;
    if (profile === undefined) return undefined;
    await requireProfile(this.#ca, profile, spec.names.length, this.#clock.now());
    return profile;
  }

  async suggestsRenewals(): Promise<boolean> {
    return (await this.#renewalInfoUrl()) !== undefined;
  }

  /** What the CA suggests for a certificate (RFC 9773); undefined where it suggests nothing at all. */
  async renewalInfo(certId: string): Promise<RenewalInfo | undefined> {
    const base = await this.#renewalInfoUrl();
    return base === undefined ? undefined : await fetchRenewalInfo(this.directory, base, certId);
  }

  async #renewalInfoUrl(): Promise<string | undefined> {
    return this.#ari ? (await directoryOf(this.#ca, this.#clock.now())).renewalInfo : undefined;
  }

  async session(): Promise<AcmeSession> {
    this.#session ??= this.#open();
    try {
      return await this.#session;
    } catch (error) {
      // The next certificate tries anew; whether it may is the account's stop to say.
      this.#session = undefined;
      throw error;
    }
  }

  async renewSession(failed: AcmeSession): Promise<boolean> {
    // Many orders may have had it in hand when the first of them found out.
    if (failed === this.#lost) return true;
    const now = this.#clock.now();
    if (now - this.#renewedAt < RENEW_EVERY) return false;
    this.#renewedAt = now;
    this.#lost = failed;
    await this.#files.forget(this.name);
    this.#session = undefined;
    return true;
  }

  /** The account as the CA has it now; undefined when it has none, or no key was made for one yet. Changes nothing. */
  async askCa(): Promise<AccountAtCa | undefined> {
    const keyPem = await this.#files.knownKey(this.name);
    return keyPem === undefined
      ? undefined
      : await askForAccount({ directory: this.directory, keyPem, ...(await this.#url()) });
  }

  /** Tells the CA that the terms at that URL are agreed to, and keeps that. False when there is no account yet. */
  async agree(terms: string): Promise<boolean> {
    const known = await this.#files.load(this.name);
    const keyPem = await this.#files.knownKey(this.name);
    if (keyPem === undefined || known?.directory !== this.directory) return false;
    await agreeToTerms({ directory: this.directory, keyPem, url: known.url });
    const agreedAt = new Date(this.#clock.now()).toISOString();
    await this.#files.save(this.name, { ...known, terms: { url: terms, agreedAt } });
    return true;
  }

  /** Where the directory has moved, the account is looked for by its key. */
  async #url(): Promise<{ url?: string }> {
    const known = await this.#files.load(this.name);
    return known?.directory === this.directory ? { url: known.url } : {};
  }

  async close(): Promise<void> {
    this.#closeEndpoint();
    await this.#pacer.close();
    await this.#tally.close();
  }

  #count({ url, method, status, detail }: Asked): void {
    // A 429 is a number that people look for.
    const code = status === 0 ? "none" : status === 429 ? "429" : `${Math.floor(status / 100)}xx`;
    this.#tally.add("requests", this.name, this.#classOf(url, method), code);
    if (status === 429)
      this.#tally.add("limited", this.name, detail === undefined ? "requests" : refusalOf(detail).limit);
  }

  /** What came of asking the CA about a renewal, for the metrics. */
  countPoll(result: "info" | "unsupported" | "failed" | "refused"): void {
    this.#tally.add("polls", this.name, result);
  }

  #open(): Promise<AcmeSession> {
    return openAccount(
      this.#ca,
      this.#files,
      () => generateKey("ec256"),
      this.#clock.now(),
      () => this.#mayRegister(),
    );
  }

  /** Registrations are counted by the address that they come from: the CA is not asked for one too many. */
  async #mayRegister(): Promise<void> {
    const wait = await this.ledger.takeRegistration(this.#node);
    if (wait === 0) return;
    const retryAt = this.#clock.now() + wait;
    throw new AppError(
      `too many new registrations at ${this.name} from this host; the next one is allowed at ${rfc3339(retryAt)}.`,
      { code: "rate_limited", disposition: "limit", retryAt },
    );
  }

  #classOf(url: string, method: string): RequestClass {
    if (url === this.directory) return "directory";
    if (method === "HEAD") return "newNonce";
    if (/renewal-?info/i.test(url)) return "renewalInfo";
    if (/revoke-?cert/i.test(url)) return "revokeCert";
    return /new-?order/i.test(url) ? "newOrder" : "acme";
  }
}
