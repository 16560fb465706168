import { isIP, isIPv4, isIPv6 } from "node:net";
import {
  CHALLENGES,
  type ChallengeType,
  DEFAULTS,
  KEY_TYPES,
  type KeyType,
  PRIORITY,
  PRIORITY_LOWEST,
} from "../core/certificate.ts";
import { checkHost } from "../core/names.ts";

/** What a row is checked against, besides itself. */
export interface RowContext {
  /** Physical line in the file, from 1; 1 for a request that has no lines. */
  line: number;
  knownCas: readonly string[];
  /** The configured sender, for rows that name none. */
  mailFrom?: string;
  /** The VIP ports that have a termination; any port will do without. */
  vipPorts?: ReadonlySet<number>;
  /** Whether a dns-01 driver is configured. */
  dns01: boolean;
  /** Where the rows come from somebody who may not name any relay. */
  relays?: RelayGuard;
}

/** What becomes of the relays that rows name. */
export interface RelayGuard {
  /** Looks up what has to be known of these cells. Never rejects. */
  prepare(relays: Iterable<string>): Promise<void>;
  /** Why this one may not be used, without its full stop; undefined where it may. */
  fault(relay: string, port: number): string | undefined;
}

export type Parsed<T> = { value: T } | { reason: string };

export interface Column<T, F = T | undefined> {
  /** As in the header line, and in every fault. */
  name: string;
  /** What an empty or missing cell stands for. It is checked like a given one: port 443 may have no termination. */
  fallback: F;
  /** Takes a trimmed cell that is not empty. */
  parse(cell: string, context: RowContext): Parsed<T>;
}

/** RFC 5321 §4.5.3.1.1, and §4.5.3.1.3 less the angle brackets of a path. */
const MAX_LOCAL_PART = 64;
const MAX_MAILBOX = 254;
/** RFC 5322 §3.2.3, dot-atom. Quoted local parts are left out: nobody has one, and relays trip over them. */
const DOT_ATOM = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;

const value = <T>(parsed: T): Parsed<T> => ({ value: parsed });
const reason = (text: string): { reason: string } => ({ reason: text });

/** All columns but DOMAIN, which row.ts takes apart itself. */
export const COLUMNS = {
  vipPort: { name: "VIPPort", fallback: DEFAULTS.vipPort, parse: parseVipPort },
  acmePort: { name: "ACMEPort", fallback: DEFAULTS.acmePort, parse: parsePort },
  from: { name: "FROMAddr", fallback: undefined, parse: parseMailbox },
  to: { name: "TOAddr", fallback: undefined, parse: parseMailbox },
  relay: { name: "RELAYAddr", fallback: undefined, parse: parseRelay },
  relayPort: { name: "RELAYPort", fallback: DEFAULTS.relayPort, parse: parsePort },
  ca: { name: "CA", fallback: undefined, parse: parseCa },
  profile: { name: "Profile", fallback: undefined, parse: parseProfile },
  keyType: { name: "KeyType", fallback: DEFAULTS.keyType, parse: parseKeyType },
  challenge: { name: "Challenge", fallback: DEFAULTS.challenge, parse: parseChallenge },
  priority: { name: "Priority", fallback: DEFAULTS.priority, parse: parsePriority },
} satisfies Record<string, Column<unknown>>;

export const DOMAIN = "DOMAIN";

/** What a file without a header line has, in this order; the last ones may be missing. */
export const POSITIONAL: readonly string[] = [
  DOMAIN,
  COLUMNS.vipPort.name,
  COLUMNS.acmePort.name,
  COLUMNS.from.name,
  COLUMNS.to.name,
  COLUMNS.relay.name,
  COLUMNS.relayPort.name,
];

/** What a rejected file has behind the row's own cells. Ignored when that file, mended, is imported. */
export const FAULT_COLUMNS: readonly string[] = ["Line", "Column", "Value", "Reason"];

const BY_LOWER_CASE = new Map(
  [DOMAIN, ...Object.values(COLUMNS).map((column) => column.name)].map((name) => [name.toLowerCase(), name]),
);

/** The column's own spelling for a header cell in whatever case, or undefined for a column we do not know. */
export function columnName(headerCell: string): string | undefined {
  return BY_LOWER_CASE.get(headerCell.trim().toLowerCase());
}

function parsePort(cell: string): Parsed<number> {
  const port = /^[1-9]\d{0,4}$/.test(cell) ? Number(cell) : 0;
  return port >= 1 && port <= 65_535 ? value(port) : reason("a port is a whole number from 1 to 65535");
}

function parseVipPort(cell: string, { vipPorts }: RowContext): Parsed<number> {
  const parsed = parsePort(cell);
  if ("reason" in parsed || vipPorts === undefined || vipPorts.has(parsed.value)) return parsed;
  const known = [...vipPorts].sort((a, b) => a - b).join(", ") || "none";
  return reason(`no termination is configured for port ${parsed.value}; those configured: ${known}`);
}

/** An address of RFC 5321 §4.1.2, the domain as A-labels. One bare address, so that nothing can be slipped into a mail's head. */
function parseMailbox(cell: string): Parsed<string> {
  if (/[<>]/.test(cell)) return reason("give the bare address, such as certs@example.com, without < and >");
  const [local = "", domain = "", ...more] = cell.split("@");
  if (more.length > 0) return reason("it holds more than one @: give one address only");
  if (local === "" || domain === "")
    return reason("it is no mail address: give one such as certs@example.com");
  if (local.length > MAX_LOCAL_PART) {
    return reason(`the part before the @ has ${local.length} characters: ${MAX_LOCAL_PART} are the most`);
  }
  if (!DOT_ATOM.test(local)) {
    return reason(
      "the part before the @ holds a character, or a dot at its start or end, that may not stand there",
    );
  }
  const host = mailDomain(domain);
  if ("reason" in host) return reason(`the part after the @: ${host.reason}`);
  const mailbox = `${local}@${host.value}`;
  return mailbox.length > MAX_MAILBOX
    ? reason(`it has ${mailbox.length} characters: ${MAX_MAILBOX} are the most for a mail address`)
    : value(mailbox);
}

/** A host name, or an address literal in brackets (RFC 5321 §4.1.3). */
function mailDomain(domain: string): Parsed<string> {
  const literal = /^\[(?:IPv6:(.*)|(.*))\]$/i.exec(domain);
  if (literal === null) return parseHost(domain);
  const fits = literal[1] === undefined ? isIPv4(literal[2] ?? "") : isIPv6(literal[1]);
  return fits ? value(domain) : reason("an address literal is [192.0.2.1] or [IPv6:2001:db8::1]");
}

function parseRelay(cell: string): Parsed<string> {
  const unbracketed = /^\[(.*)\]$/.exec(cell)?.[1] ?? cell;
  if (isIP(unbracketed) !== 0) return value(unbracketed);
  return /^[^:]+:\d+$/.test(cell) ? reason("give the relay's port in RELAYPort, not here") : parseHost(cell);
}

function parseHost(text: string): Parsed<string> {
  const checked = checkHost(text);
  return checked.ok ? value(checked.host) : reason(checked.reason);
}

function parseCa(cell: string, { knownCas }: RowContext): Parsed<string> {
  const known = knownCas.find((name) => name.toLowerCase() === cell.toLowerCase());
  return known === undefined
    ? reason(`no such CA is configured; those configured: ${knownCas.join(", ")}`)
    : value(known);
}

/** Profiles are the CA's own names, offered in its directory: draft-ietf-acme-profiles §3. */
function parseProfile(cell: string): Parsed<string> {
  return /^[a-z0-9-]{1,64}$/i.test(cell)
    ? value(cell)
    : reason("a profile is the CA's name for it, such as tlsserver: 1 to 64 letters, digits and hyphens");
}

/** Also as acme.sh's `--keylength` spells them: https://github.com/acmesh-official/acme.sh/wiki/Options-and-Params */
function parseKeyType(cell: string): Parsed<KeyType> {
  const spelt = cell.toLowerCase().replace("-", "");
  const wanted = /^\d+$/.test(spelt) ? `rsa${spelt}` : spelt;
  const known = KEY_TYPES.find((type) => type === wanted);
  return known === undefined ? reason(`the key types are ${KEY_TYPES.join(", ")}`) : value(known);
}

function parseChallenge(cell: string, { dns01 }: RowContext): Parsed<ChallengeType> {
  const known = CHALLENGES.find((type) => type === cell.toLowerCase());
  if (known === undefined) return reason(`the challenges are ${CHALLENGES.join(" and ")}`);
  return known === "dns-01" && !dns01 ? reason("no dns-01 driver is configured") : value(known);
}

function parsePriority(cell: string): Parsed<number> {
  const word = Object.entries(PRIORITY).find(([name]) => name === cell.toLowerCase());
  if (word !== undefined) return value(word[1]);
  const number = /^[1-9]\d{0,2}$/.test(cell) ? Number(cell) : 0;
  return number >= PRIORITY.urgent && number <= PRIORITY_LOWEST
    ? value(number)
    : reason(
        `a priority is ${Object.keys(PRIORITY).join(", ")}, or a number from 1 (first) to ${PRIORITY_LOWEST}`,
      );
}
