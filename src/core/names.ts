import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { getDomain, parse } from "tldts";

export type NameCheck =
  | { ok: true; name: string; wildcard: boolean }
  /** A sentence that says what is wrong and how to mend it; it does not repeat the name. */
  | { ok: false; reason: string };
export type HostCheck = { ok: true; host: string } | { ok: false; reason: string };

/** RFC 1035 §2.3.4: 255 octets on the wire, two of which are the first length byte and the root. */
const MAX_NAME = 253;
/** RFC 1035 §2.3.4. */
const MAX_LABEL = 63;
/** Boulder's `maxLabels`, the `*` of a wildcard counting as one: https://github.com/letsencrypt/boulder/blob/main/policy/pa.go */
const MAX_LABELS = 10;
/** Composition shortens a name at most threefold, so what is longer can never fit; it also bounds the work of IDNA. */
const MAX_BEFORE_IDNA = 1_000;

/** Most names look like this and need no closer look. Its last label starts with a letter, so it is no IP address. */
const PLAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** The options leave out all that tldts does to URLs and IP addresses; what comes here is a checked name. */
const BARE = { extractHostname: false, validateHostname: false, detectIp: false, mixedInputs: false };
const ICANN = { ...BARE, allowPrivateDomains: false };
const ALL_SUFFIXES = { ...BARE, allowPrivateDomains: true };

const no = (reason: string): { ok: false; reason: string } => ({ ok: false, reason });

/**
 * Whether a certificate can be ordered for a name, and the name as it is ordered: A-labels, lower case, no last dot.
 * Where the rules are a CA's own they are Let's Encrypt's: https://github.com/letsencrypt/boulder/blob/main/policy/pa.go
 * An unknown top-level domain passes, as a private CA may well serve one. Never throws.
 */
export function checkName(raw: string): NameCheck {
  const name = tidy(raw);
  if (PLAIN.test(name) && name.length <= MAX_NAME && !name.includes("--")) return checkPolicy(name, false);
  const foreign = notAName(name);
  if (foreign !== undefined) return no(foreign);
  const wildcard = name.startsWith("*.");
  const base = wildcard ? name.slice(2) : name;
  if (base.includes("*") || base === "") {
    return no("a wildcard is the whole first part and nothing else, as in *.example.com");
  }
  const checked = toHost(base);
  return checked.ok ? checkPolicy(checked.host, wildcard) : checked;
}

/** The syntax of a host name alone: one label will do (`localhost`), wildcards and IP addresses will not. Never throws. */
export function checkHost(raw: string): HostCheck {
  const name = tidy(raw);
  const foreign = notAName(name);
  if (foreign !== undefined) return no(foreign);
  return name.includes("*") ? no("it holds a wildcard: give the name of one host") : toHost(name);
}

/**
 * The domain a CA counts certificates by: one label under its public suffix, private suffixes (github.io) included.
 * The name itself where there is none. Takes names as `checkName` returns them.
 */
export function registeredDomain(name: string): string {
  return getDomain(name, ALL_SUFFIXES) ?? name;
}

/** IDNA takes the ideographic full stops for dots too (UTS #46 §4), so one of them may be the last dot. */
function tidy(raw: string): string {
  return raw
    .trim()
    .toLowerCase()
    .replace(/[.\u3002\uff0e\uff61]$/, "");
}

/** What stands where a name should and is something else: the reason, or undefined. */
function notAName(text: string): string | undefined {
  if (text === "") return "it is empty: give a name, such as www.example.com";
  if (text.length > MAX_BEFORE_IDNA) return tooLong(text.length);
  const unbracketed = /^\[(.*)\](?::\d*)?$/.exec(text)?.[1] ?? text;
  if (isIP(unbracketed) !== 0) return IP_REASON;
  if (/^[a-z][a-z0-9+.-]*:\/\//.test(text)) return notBare(text, "is a URL");
  if (/[/?#\\]/.test(text)) return notBare(text, "has a path");
  if (text.includes("@")) return notBare(text, "is a mail address");
  if (/:\d*$/.test(text)) return notBare(text, "has a port");
  return undefined;
}

const IP_REASON = "it is an IP address: give the DNS name that points to it";

/** Names the name that is inside the URL, where there is one, ready to be copied. */
function notBare(text: string, what: string): string {
  const authority = text.replace(/^[a-z][a-z0-9+.-]*:\/\//, "").replace(/[/?#\\].*$/s, "");
  const host = authority.replace(/^.*@/s, "").replace(/:\d*$/, "");
  if (isIP(host) !== 0) return IP_REASON;
  const checked = checkName(host);
  return `it ${what}: give the bare name, ${checked.ok ? checked.name : "such as www.example.com"}`;
}

/** IDNA, and then the rules of host names (RFC 1123 §2.1, RFC 5890 §2.3.1) for each label. */
function toHost(name: string): HostCheck {
  const character = badCharacter(name);
  if (character !== undefined) return no(character);
  let host = name;
  // domainToASCII would also decode %2e and rewrite 0x7f.1 to 127.0.0.1; the characters were checked above, and the
  // numbers are looked at before and after. Plain ASCII without an A-label gains nothing from it.
  if (/[^ -~]|(?:^|\.)xn--/.test(name)) {
    if (endsInNumber(name)) return no(NUMBER_REASON);
    // In its A-label a hyphen at the edge would be out of sight.
    const hyphen = name
      .split(".")
      .map(badHyphen)
      .find((reason) => reason !== undefined);
    if (hyphen !== undefined) return no(hyphen);
    host = domainToASCII(name);
    if (host === "") return no(idnaReason(name));
  }
  const fault = badLabels(host);
  return fault === undefined ? { ok: true, host } : no(fault);
}

const NUMBER_REASON =
  "its last part is a number, which makes it an IP address or nothing at all: give a DNS name, such as www.example.com";

/** As the URL standard tells IPv4 addresses, in all their spellings, from names: https://url.spec.whatwg.org/#ends-in-a-number-checker */
function endsInNumber(name: string): boolean {
  return /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$/.test(name);
}

function idnaReason(name: string): string {
  const label = name.split(".").find((part) => domainToASCII(part) === "") ?? name;
  return label.startsWith("xn--")
    ? `its part ${brief(label)} is not valid Punycode: write that part in its own letters instead`
    : `its part ${brief(label)} holds letters that no domain name may hold: mend the spelling`;
}

function badCharacter(name: string): string | undefined {
  if (/[\p{Cc}\p{Z}]/u.test(name)) return "it holds a space or a control character: take that out";
  if (name.includes("_")) {
    return "it holds an underscore, which no certificate may carry: use a name with a hyphen instead";
  }
  if (name.includes("\ufffd")) return "it holds letters that are not valid UTF-8: save the file as UTF-8";
  const other = /[^a-z0-9.\-\u0080-\uffff]/.exec(name)?.[0];
  return (
    other && `it holds the character "${other}": only letters, digits, hyphens and dots may stand in a name`
  );
}

function badLabels(host: string): string | undefined {
  if (host.includes("_") || /[^a-z0-9.-]/.test(host)) {
    return "it holds a character that stands for none of a name's: only letters, digits, hyphens and dots may";
  }
  if (endsInNumber(host)) return isIP(host) !== 0 ? IP_REASON : NUMBER_REASON;
  for (const label of host.split(".")) {
    if (label === "") return "it has a dot too many: take out a dot in front, or one of two in a row";
    if (label.length > MAX_LABEL) {
      return `its part ${brief(label)} has ${label.length} characters: ${MAX_LABEL} are the most between two dots`;
    }
    const hyphen = badHyphen(label);
    if (hyphen !== undefined) return hyphen;
  }
  return host.length > MAX_NAME ? tooLong(host.length) : undefined;
}

/** For A-labels and plain ones (RFC 5890 §2.3.1: a kind of its own, of which only xn-- is in use) as for U-labels (RFC 5891 §4.2.3.1). */
function badHyphen(label: string): string | undefined {
  if (label.startsWith("-") || label.endsWith("-")) {
    return `its part ${brief(label)} starts or ends with a hyphen: take that hyphen out`;
  }
  return label.startsWith("--", 2) && !label.startsWith("xn")
    ? `its part ${brief(label)} has hyphens third and fourth, a form that is reserved: use another name`
    : undefined;
}

function tooLong(length: number): string {
  return `it has ${length} characters: ${MAX_NAME} are the most for a name`;
}

/** What a CA asks beyond the syntax. Only the ICANN section counts for suffixes: github.io may have a certificate. */
function checkPolicy(base: string, wildcard: boolean): NameCheck {
  const { publicSuffix, isIcann } = parse(base, ICANN);
  if (isIcann && publicSuffix === base && (wildcard || base.includes("."))) {
    return wildcard
      ? no(
          `it is a wildcard for all of ${base}, a public suffix: give one below it, such as *.example.${base}`,
        )
      : no(
          `it is a public suffix, under which others register: give a name below it, such as example.${base}`,
        );
  }
  if (!base.includes(".")) {
    return no("it is a single word, with no dot: give the full name, such as www.example.com");
  }
  const name = wildcard ? `*.${base}` : base;
  if (name.length > MAX_NAME) return no(tooLong(name.length));
  const labels = name.split(".").length;
  if (labels > MAX_LABELS) {
    return no(`it has ${labels} parts between its dots: ${MAX_LABELS} are the most that Let's Encrypt takes`);
  }
  return { ok: true, name, wildcard };
}

function brief(label: string): string {
  return label.length > 24 ? `${label.slice(0, 23)}…` : label;
}
