import { setMaxListeners } from "node:events";
import { Vips } from "../core/addresses.ts";
import type { Clock } from "../core/clock.ts";
import { AppError } from "../core/errors.ts";
import { Cache, Gate } from "../core/flow.ts";
import type { CaaRecord } from "./caa.ts";
import { classify, lookUp } from "./found.ts";
import { type Probe, type ProbeOptions, probe } from "./probe.ts";
import { createDns, type Dns } from "./resolver.ts";

/** Where our own responder finds its answers; `Challenges` of the store, say. */
export interface ProbeStore {
  put(token: string, body: string): Promise<void>;
  drop(token: string): Promise<void>;
}

/** Whether this installation's probes come back at all; `ProbeHistory` of the store, say. */
export interface History {
  passed(): Promise<void>;
  anyPassed(): Promise<boolean>;
}

export interface PreflightOptions {
  /** `address:port` of the name servers to ask; the system's where empty. */
  resolvers?: readonly string[];
  /** The load balancer's addresses as the world sees them. */
  vips?: readonly string[];
  /** 80 where left out; a CA asks no other (RFC 8555 §8.3). */
  httpPort?: number;
  /** 443 where left out: where a redirect to https leads. */
  httpsPort?: number;
  /** Milliseconds: one try of one question to a name server (3 s), and one probe with its redirects (10 s). */
  timeouts?: { dns?: number; probe?: number };
  /** How often each name server is asked; twice where left out. */
  tries?: number;
  /** Names under check at once, over all certificates; 32 where left out. */
  concurrency?: number;
  store: ProbeStore;
  history: History;
  /** Throws an AppError where the dns-01 challenge of a name cannot be answered; not asked where left out. */
  dnsPlace?: (name: string) => Promise<unknown>;
  clock: Clock;
  /** In place of the real ones, for tests. */
  dns?: Dns;
  probe?: Probe;
}

/** What the checks work with: build one, share it, and close it. */
export interface Preflight {
  readonly dns: Dns;
  readonly probe: Probe;
  readonly store: ProbeStore;
  readonly history: History;
  readonly vips: Vips;
  readonly httpPort: number;
  readonly gate: Gate;
  readonly dnsPlace: (name: string) => Promise<unknown>;
  /** CAA records of one owner, through the cache. */
  readonly caa: (owner: string) => Promise<readonly CaaRecord[]>;
  /** Throws `preflight_closed` (transient) once closed. */
  assertOpen(): void;
  /** Ends what is under way; checks under way are rejected. */
  close(): void;
}

const DNS_TIMEOUT = 3_000;
const DNS_TRIES = 2;
const PROBE_TIMEOUT = 10_000;
const CONCURRENCY = 32;
/** As long as the shortest wait between two checks, so that what was mended is seen. */
const CAA_CACHE = { lifetime: 120_000, failureLifetime: 10_000, most: 20_000 };
/** Of hosts that are redirected to; they are few. */
const HOST_CACHE = { lifetime: 30_000, failureLifetime: 10_000, most: 1_000 };

/** Throws `preflight_vip` or `preflight_resolver` (usage) for what is no address. Opens nothing yet. */
export function createPreflight(options: PreflightOptions): Preflight {
  const { clock, store, history, timeouts = {}, httpPort = 80, httpsPort = 443 } = options;
  const vips = new Vips(options.vips ?? []);
  const dns =
    options.dns ??
    createDns({
      servers: options.resolvers ?? [],
      timeout: timeouts.dns ?? DNS_TIMEOUT,
      tries: options.tries ?? DNS_TRIES,
    });
  const caaCache = new Cache<readonly CaaRecord[]>(clock, CAA_CACHE);
  const hostCache = new Cache<readonly string[]>(clock, HOST_CACHE);
  const ending = new AbortController();
  // Every probe under way listens to it; the gate bounds them.
  setMaxListeners(0, ending.signal);
  const probeOptions: ProbeOptions = {
    ports: { http: httpPort, https: httpsPort },
    timeout: timeouts.probe ?? PROBE_TIMEOUT,
    addresses: (host) => hostCache.get(host, () => reachable(host, dns, vips)),
  };
  return {
    dns,
    store,
    history,
    vips,
    httpPort,
    dnsPlace: options.dnsPlace ?? (async () => undefined),
    probe: options.probe ?? ((target) => probe(target, probeOptions, ending.signal)),
    gate: new Gate(options.concurrency ?? CONCURRENCY),
    caa: (owner) => caaCache.get(owner, (name) => dns.caa(name)),
    assertOpen() {
      if (!ending.signal.aborted) return;
      throw new AppError("The check was given up, as this process ends. It is done again.", {
        code: "preflight_closed",
        disposition: "transient",
      });
    },
    close() {
      ending.abort();
      dns.close();
      caaCache.clear();
      hostCache.clear();
    },
  };
}

/** Where a probe may be redirected to, IPv6 first: a public address or a VIP, and never anything else. */
async function reachable(host: string, dns: Dns, vips: Vips): Promise<string[]> {
  const found = await lookUp(dns, host);
  return found
    .filter((each) => classify(each, vips).kind !== "private")
    .sort((one, other) => other.family - one.family)
    .map(({ address }) => address);
}
