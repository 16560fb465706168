import type { Vips } from "../core/addresses.ts";
import { registeredDomain } from "../core/names.ts";
import type { CaaFault } from "./caa.ts";
import type { Found } from "./found.ts";
import type { Outcome } from "./probe.ts";
import { pointingRecords, pointingSentence } from "./records.ts";
import type { Verdict } from "./verdict.ts";

export interface Situation {
  name: string;
  vips: Vips;
  /** Whether any probe of this installation has come back of late. Asked only where it decides. */
  anyPassed: () => Promise<boolean>;
  httpPort: number;
  /** The port of this host that has to get what the load balancer's `httpPort` gets. */
  acmePort: number;
}

const PATH = "/.well-known/acme-challenge/";

/** What one address says about its name: nothing against it, the customer's fault and why, or a fault of this host's. */
type Finding =
  | { blame: "nobody" }
  | { blame: "customer"; found: Found; why: string }
  | { blame: "node"; code: string; detail: string };

/** The verdict on a name by its addresses. None at all is the customer's fault. */
export async function judgeAddresses(found: readonly Found[], situation: Situation): Promise<Verdict> {
  const findings: Finding[] = [];
  for (const each of found) findings.push(await findingOf(each, found, situation));
  const nodes = findings.filter((finding) => finding.blame === "node");
  const [first] = nodes;
  if (first !== undefined) {
    const details = new Set(nodes.map(({ detail }) => detail));
    return { kind: "node", code: first.code, detail: [...details].join(" ") };
  }
  const faults = findings.filter((finding) => finding.blame === "customer");
  if (found.length > 0 && faults.length === 0) return { kind: "ready" };
  const records = pointingRecords(situation.name, found, faults, situation.vips);
  return {
    kind: "customer",
    detail: records.map((record) => pointingSentence(record, situation.vips)).join(" "),
    records,
  };
}

async function findingOf(found: Found, all: readonly Found[], situation: Situation): Promise<Finding> {
  const { address, kind, outcome } = found;
  const customer = (why: string): Finding => ({ blame: "customer", found, why: `${address} ${why}` });
  if (kind === "private") return customer("is not a public address");
  if (outcome === undefined || outcome.came) return { blame: "nobody" };
  if (outcome.stage === "resolver") return { blame: "node", code: "resolver_failed", detail: outcome.why };
  if (found.family === 6 && isPassedOver(found, all)) return { blame: "nobody" };
  if (kind === "vip") return vipFault(found, outcome, situation);
  if (situation.vips.areKnown) return customer(outcome.why);
  if (outcome.stage === "local") {
    const detail = `${address}, where ${situation.name} points, ${outcome.why}: give this host a route to it.`;
    return { blame: "node", code: "no_route", detail };
  }
  return (await situation.anyPassed()) ? customer(outcome.why) : unproven(found, outcome, situation);
}

/**
 * Whether IPv4 stands in for an IPv6 address: nobody takes the connection there, so a CA tries IPv4 next
 * (https://letsencrypt.org/docs/ipv6-support/). Where it is this host that has no IPv6 the CA may well get through:
 * then an AAAA that leads past the VIP, to which the A leads, would have a stranger answer it.
 */
function isPassedOver({ kind, outcome }: Found, all: readonly Found[]): boolean {
  if (outcome === undefined || outcome.came || (outcome.stage !== "connect" && outcome.stage !== "local"))
    return false;
  const answering = all.filter((other) => other.family === 4 && other.outcome?.came === true);
  if (answering.length === 0) return false;
  return outcome.stage === "connect" || kind === "vip" || answering.every((other) => other.kind !== "vip");
}

type Failure = Extract<Outcome, { came: false }>;

function vipFault({ address }: Found, { stage, why }: Failure, situation: Situation): Finding {
  const { name, httpPort, acmePort } = situation;
  const what = `Port ${httpPort} of VIP ${address} does not lead ${PATH} to this host's ACMEPort ${acmePort}: it ${why}.`;
  const isReached = stage === "answer";
  const mending = isReached
    ? "Mend the load balancer's rule for that path"
    : "Mend the load balancer, let the firewall lead this host to its own VIP (hairpin NAT), or set CERTHERD_PREFLIGHT=warn";
  return {
    blame: "node",
    code: isReached ? "vip_wrong_backend" : "vip_unreachable",
    detail: `${what} ${mending}; the DNS of ${name} is right.`,
  };
}

/**
 * Without VIPs, and without a probe that ever came back, a name that points elsewhere looks like a load balancer that
 * does not do its part. Nobody is written to over that.
 */
function unproven({ address }: Found, { stage, why }: Failure, situation: Situation): Finding {
  const points = `${address}, where ${situation.name} points`;
  const ways = "set CERTHERD_PREFLIGHT=warn, list vips in the configuration, or";
  if (stage === "connect") {
    return {
      blame: "node",
      code: "hairpin",
      detail: `${points}, ${why}, and no probe has come back today: perhaps this host cannot reach its own VIP (hairpin NAT?). Then ${ways} let the firewall lead this host to its VIP.`,
    };
  }
  return {
    blame: "node",
    code: "no_probe_came_back",
    detail: `${points}, ${why}, and no probe has come back today: either that is not the load balancer, or it does not lead ${PATH} to this host's ACMEPort ${situation.acmePort}. To tell, ${ways} mend the load balancer's rule for that path.`,
  };
}

/** What the CAA of `owner` has against a name, as the customer's to mend. */
export function caaVerdict(name: string, owner: string, fault: CaaFault): Verdict {
  const domain = registeredDomain(name.replace(/^\*\./, ""));
  const why = `CAA of ${owner} ${fault.why}`;
  // Nobody can mend the CAA of a public suffix; a record of one's own goes before it (RFC 8659 §3).
  if (owner.length < domain.length) {
    const record = { name: domain, type: "CAA", set: fault.grant, today: "none", why } as const;
    const detail = `${domain} CAA ${fault.grant} is to be added; today there is none, and ${why}.`;
    return { kind: "customer", detail, records: [record] };
  }
  const { isToGo, grant, today } = fault;
  const record = { name: owner, type: "CAA", set: isToGo ? undefined : grant, today, why } as const;
  const detail = isToGo
    ? `${owner} CAA ${today} is to be removed: it ${fault.why}.`
    : `${owner} CAA ${grant} is to be added; today it is ${today}.`;
  return { kind: "customer", detail, records: [record] };
}
