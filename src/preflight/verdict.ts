/** A DNS record that the customer has to set or to remove. */
export interface DnsRecord {
  name: string;
  type: "A" | "AAAA" | "CAA";
  /** The value to set; undefined: the record is to be removed. */
  set: string | undefined;
  /** The values there now, or "none". */
  today: string;
  /** What is wrong with today's, for the customer to read; no full stop. */
  why: string;
}

/**
 * Whether an order may be spent on a name, or a certificate, and if not whom it waits for:
 * - customer: whoever has the domain's DNS. Nobody else can do anything.
 * - node:     this host, its resolver or its way to the VIP. DNS may well be right.
 * - blocked:  a person here must act, and no change in DNS would help.
 */
export type Verdict =
  | { kind: "ready" }
  | { kind: "customer"; detail: string; records: readonly DnsRecord[] }
  | { kind: "node" | "blocked"; code: string; detail: string };

export interface NameVerdict {
  name: string;
  verdict: Verdict;
}

/** Names whose sentences stand in the detail of a certificate; a mail shows many certificates. */
const TOLD = 3;

/**
 * The one verdict over several: what is this host's before what is the customer's, so that no customer is written to
 * over a fault of ours; ready if all are.
 */
export function combine(parts: readonly NameVerdict[]): Verdict {
  const node = pick(parts, "node");
  if (node.length > 0) return faulty("node", node);
  const customer = pick(parts, "customer");
  if (customer.length > 0) {
    return {
      kind: "customer",
      detail: told(customer),
      records: distinct(customer.flatMap((part) => part.verdict.records)),
    };
  }
  const blocked = pick(parts, "blocked");
  return blocked.length > 0 ? faulty("blocked", blocked) : { kind: "ready" };
}

type Of<Kind extends Verdict["kind"]> = Extract<Verdict, { kind: Kind }>;
interface Part<V extends Verdict> {
  name: string;
  verdict: V;
}

function pick<Kind extends Verdict["kind"]>(parts: readonly NameVerdict[], kind: Kind): Part<Of<Kind>>[] {
  return parts.filter((part): part is Part<Of<Kind>> => part.verdict.kind === kind);
}

function faulty(kind: "node" | "blocked", parts: readonly Part<Of<"node" | "blocked">>[]): Verdict {
  return { kind, code: parts[0]?.verdict.code ?? kind, detail: told(parts) };
}

/** A fault that many names share, such as a CAA record of their parent, is told once. */
function told(parts: readonly { name: string; verdict: { detail: string } }[]): string {
  const details = [...new Set(parts.map((part) => part.verdict.detail))];
  const shown = new Set(details.slice(0, TOLD));
  const more = new Set(parts.filter((part) => !shown.has(part.verdict.detail)).map((part) => part.name)).size;
  const rest = more === 0 ? [] : [`And ${more} more ${more === 1 ? "name" : "names"}.`];
  return [...shown, ...rest].join(" ");
}

function distinct(records: readonly DnsRecord[]): DnsRecord[] {
  const key = ({ name, type, set, today }: DnsRecord) => JSON.stringify([name, type, set, today]);
  return [...new Map(records.map((record) => [key(record), record])).values()];
}
