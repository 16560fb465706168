import { setMaxListeners } from "node:events";
import { type Answer, fetchFrom } from "./fetch.ts";
import { isRedirect, MOST_REDIRECTS, nextHop, type Ports, portOf, shown } from "./redirects.ts";
import { ResolverFailure } from "./resolver.ts";

/** Bytes; what is not shorter Boulder refuses, white space and all (`maxResponseSize` of va/http.go). */
const MOST_ANSWER = 128;

/** This host's own lack: no route, no address of that family, no permission, no file left. Says nothing about the other one. */
const LOCAL = new Set([
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "EAFNOSUPPORT",
  "EACCES",
  "EPERM",
  "EMFILE",
  "ENFILE",
]);

export interface ProbeTarget {
  /** A-labels. */
  name: string;
  /** Where the first request goes. */
  address: string;
  token: string;
  /** What our own responder answers to the token. */
  expected: string;
}

/**
 * What became of a probe. `why` goes on from the name or address that was asked ("refuses the connection on port 80").
 * - local:    this host could not send it.
 * - connect:  nobody takes a connection there.
 * - answer:   somebody does, and gives another answer than ours.
 * - resolver: it was sent on to a name that the resolver did not answer for; `why` is a whole sentence.
 */
export type Outcome =
  | { came: true }
  | { came: false; stage: "local" | "connect" | "answer" | "resolver"; why: string };

export type Probe = (target: ProbeTarget) => Promise<Outcome>;

export interface ProbeOptions {
  ports: Ports;
  /** Milliseconds for all of it, redirects included. */
  timeout: number;
  /** Where a host that was redirected to may be asked, best first; [] for nowhere. Throws ResolverFailure. */
  addresses: (host: string) => Promise<readonly string[]>;
}

type Failure = Extract<Outcome, { came: false }>;
const failed = (stage: Failure["stage"], why: string): Failure => ({ came: false, stage, why });

/**
 * Asks one address for the token as a CA will (RFC 8555 §8.3), and follows redirects as Boulder does:
 * https://github.com/letsencrypt/boulder/blob/main/va/http.go. Never rejects, but where `addresses` breaks its promise.
 */
export async function probe(
  target: ProbeTarget,
  options: ProbeOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  const { ports, timeout } = options;
  const ending = new AbortController();
  // Each request on the way listens to it.
  setMaxListeners(MOST_REDIRECTS + 2, ending.signal);
  const end = () => ending.abort();
  const timer = setTimeout(end, timeout);
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  try {
    const port = ports.http === 80 ? "" : `:${ports.http}`;
    const first = new URL(`http://${target.name}${port}/.well-known/acme-challenge/${target.token}`);
    return await follow(first, target, options, ending.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

async function follow(
  first: URL,
  target: ProbeTarget,
  options: ProbeOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  const seen = [first];
  let answer = await fetchFrom(target.address, portOf(first, options.ports), first, signal);
  for (;;) {
    const url = seen.at(-1) ?? first;
    const said = (why: string) => (seen.length === 1 ? why : `redirects to ${shown(url)}, which ${why}`);
    if (answer.kind === "error") {
      const { stage, why } = failureOf(answer, url, options, signal);
      // Whoever redirects has taken a connection.
      return failed(seen.length === 1 || stage === "local" ? stage : "answer", said(why));
    }
    if (!isRedirect(answer.status)) return judged(answer, target.expected, said);
    const hop = nextHop(answer.status, answer.location, seen, options.ports);
    if ("why" in hop) return failed("answer", said(hop.why));
    seen.push(hop.url);
    const next = await fetchRedirected(hop.url, options, signal);
    if ("came" in next) return next;
    answer = next;
  }
}

function judged(
  { status, body }: Extract<Answer, { kind: "response" }>,
  expected: string,
  said: (why: string) => string,
): Outcome {
  if (status !== 200) return failed("answer", said(`answers with status ${status}`));
  const isOurs = body.trimEnd() === expected;
  if (isOurs && Buffer.byteLength(body) < MOST_ANSWER) return { came: true };
  return failed(
    "answer",
    said(isOurs ? "adds more white space to the answer than CAs take" : "answers with something else"),
  );
}

/**
 * The one address that a CA takes: IPv6 before IPv4, and no second try, which it has for the first request alone
 * (https://github.com/letsencrypt/boulder/issues/7347). Only what this host itself cannot reach is passed over.
 */
async function fetchRedirected(
  url: URL,
  options: ProbeOptions,
  signal: AbortSignal,
): Promise<Answer | Failure> {
  const host = url.hostname.replace(/\.$/, "");
  let addresses: readonly string[];
  try {
    addresses = await options.addresses(host);
  } catch (error) {
    if (error instanceof ResolverFailure) return failed("resolver", error.message);
    throw error;
  }
  let answer: Answer | undefined;
  for (const address of addresses) {
    answer = await fetchFrom(address, portOf(url, options.ports), url, signal);
    if (answer.kind === "response" || !isLocal(answer)) break;
  }
  return answer ?? failed("answer", `redirects to ${shown(url)}, which has no public address`);
}

function isLocal(answer: Extract<Answer, { kind: "error" }>): boolean {
  return !answer.connected && LOCAL.has(answer.code);
}

function failureOf(
  answer: Extract<Answer, { kind: "error" }>,
  url: URL,
  { ports, timeout }: ProbeOptions,
  signal: AbortSignal,
): { stage: "local" | "connect" | "answer"; why: string } {
  const port = portOf(url, ports);
  if (isLocal(answer)) return { stage: "local", why: `cannot be reached from this host (${answer.code})` };
  const stage = answer.connected ? "answer" : "connect";
  if (signal.aborted) return { stage, why: `does not answer on port ${port} within ${timeout / 1_000} s` };
  if (answer.code === "ECONNREFUSED") return { stage, why: `refuses the connection on port ${port}` };
  return {
    stage,
    why: `${answer.connected ? "breaks off" : "cannot be connected to"} on port ${port} (${answer.code})`,
  };
}
