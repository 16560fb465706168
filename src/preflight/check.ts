import { randomBytes } from "node:crypto";
import type { ChallengeType } from "../core/certificate.ts";
import { asAppError } from "../core/errors.ts";
import { caaFault, relevantSet } from "./caa.ts";
import { type Address, classify, type Found, lookUp } from "./found.ts";
import { caaVerdict, judgeAddresses } from "./judge.ts";
import type { Preflight } from "./preflight.ts";
import type { Outcome } from "./probe.ts";
import { ResolverFailure } from "./resolver.ts";
import { combine, type NameVerdict, type Verdict } from "./verdict.ts";

export interface CheckRequest {
  /** As `checkName` of core returns them. */
  names: readonly string[];
  /** The port of this host to which the load balancer is to lead the challenges. */
  acmePort: number;
  method: ChallengeType;
  /** The names the CA goes by in CAA, such as letsencrypt.org; empty where they are not known. */
  identities: readonly string[];
  /** The account's URL at the CA. */
  accountUri?: string | undefined;
}

/** Addresses of one family that are asked; a CA takes one of them, and any one. */
const MOST_ADDRESSES = 4;

/**
 * Whether an order may be spent on a certificate, and if not whom it waits for. Changes nothing but a token of its own.
 * Rejects with what the store or the history throw, and with `preflight_closed` (transient) after `close()`.
 */
export async function checkNames(preflight: Preflight, request: CheckRequest): Promise<Verdict> {
  return combine(await checkEach(preflight, request));
}

/** The same name by name, in their order. */
export async function checkEach(preflight: Preflight, request: CheckRequest): Promise<NameVerdict[]> {
  const verdicts = await Promise.all(
    request.names.map((name) => preflight.gate.run(() => checkOne(preflight, request, name))),
  );
  preflight.assertOpen();
  return verdicts.map((verdict, index) => ({ name: request.names[index] ?? "", verdict }));
}

/**
 * A wildcard has no http-01 (https://letsencrypt.org/docs/challenge-types/), and dns-01 needs no address: CAA, and
 * somebody who can set the TXT.
 */
async function checkOne(preflight: Preflight, request: CheckRequest, name: string): Promise<Verdict> {
  preflight.assertOpen();
  const isProbed = request.method === "http-01" && !name.startsWith("*.");
  const parts = [
    checkCaa(preflight, request, name),
    ...(isProbed ? [checkAddresses(preflight, request, name)] : []),
    ...(request.method === "dns-01" ? [checkPlace(preflight, name)] : []),
  ];
  const verdicts = await Promise.all(parts.map((part) => part.catch(resolverVerdict)));
  return combine(verdicts.map((verdict) => ({ name, verdict })));
}

function resolverVerdict(error: unknown): Verdict {
  if (!(error instanceof ResolverFailure)) throw error;
  return { kind: "node", code: "resolver_failed", detail: error.message };
}

async function checkCaa(preflight: Preflight, request: CheckRequest, name: string): Promise<Verdict> {
  const set = await relevantSet(name, preflight.caa);
  const { identities, method, accountUri } = request;
  const fault = set && caaFault(set, { wildcard: name.startsWith("*."), identities, method, accountUri });
  return set && fault ? caaVerdict(name, set.owner, fault) : { kind: "ready" };
}

async function checkPlace(preflight: Preflight, name: string): Promise<Verdict> {
  try {
    await preflight.dnsPlace(name);
    return { kind: "ready" };
  } catch (thrown) {
    const { code, disposition, message: detail } = asAppError(thrown);
    if (disposition === "internal") throw thrown;
    return { kind: disposition === "attention" ? "blocked" : "node", code, detail };
  }
}

async function checkAddresses(preflight: Preflight, request: CheckRequest, name: string): Promise<Verdict> {
  const { vips, history, httpPort } = preflight;
  const found = (await lookUp(preflight.dns, name)).map((each) => classify(each, vips));
  const { acmePort } = request;
  const situation = { name, vips, httpPort, acmePort, anyPassed: () => history.anyPassed() };
  return await judgeAddresses(await askAll(preflight, name, found), situation);
}

/** The first four of a family; a private one is never connected to. */
async function askAll(
  preflight: Preflight,
  name: string,
  found: readonly Omit<Found, "outcome">[],
): Promise<Found[]> {
  const asked = ([4, 6] as const).flatMap((family) =>
    found.filter((each) => each.family === family && each.kind !== "private").slice(0, MOST_ADDRESSES),
  );
  const outcomes = asked.length === 0 ? [] : await askWithToken(preflight, name, asked);
  // Not found there: index -1, and so no outcome.
  return found.map((each) => ({ ...each, outcome: outcomes[asked.indexOf(each)] }));
}

async function askWithToken(
  { store, probe, history }: Preflight,
  name: string,
  asked: readonly Address[],
): Promise<Outcome[]> {
  // Of the form of a challenge's (RFC 8555 §8.1), as a load balancer may look at that.
  const token = randomBytes(32).toString("base64url");
  const expected = `${token}.${randomBytes(32).toString("base64url")}`;
  await store.put(token, expected);
  try {
    return await Promise.all(
      asked.map(async ({ address }) => {
        const outcome = await probe({ name, address, token, expected });
        if (outcome.came) await history.passed();
        return outcome;
      }),
    );
  } finally {
    // What is left there expires by itself.
    await store.drop(token).catch(() => undefined);
  }
}
