import type { ChallengeType } from "../core/certificate.ts";

/** RFC 8659 §4.1. */
export interface CaaRecord {
  flags: number;
  tag: string;
  value: string;
}

/** The first set that is not empty on the way up from a name, and whose it is. */
export interface CaaSet {
  owner: string;
  records: readonly CaaRecord[];
}

export interface CaaQuestion {
  wildcard: boolean;
  /** The names the CA goes by in CAA, as its directory tells (RFC 8555 §9.7.6); empty where it tells none. */
  identities: readonly string[];
  method: ChallengeType;
  /** The account's URL at the CA; undefined where it is not known (yet), and then not judged. */
  accountUri: string | undefined;
}

/** Why a set forbids the certificate, and what would mend it. */
export interface CaaFault {
  /** The record that would let the CA issue, in the form of a zone file. */
  grant: string;
  /** Whether it does not help to add that record: `today` has to go. */
  isToGo: boolean;
  /** The records in the way, in the same form. */
  today: string;
  /** Goes on from "CAA of example.com"; no full stop. */
  why: string;
}

/** The set that counts for a name (RFC 8659 §3): the name's own, or that of the nearest parent, up to the top. */
export async function relevantSet(
  name: string,
  lookup: (owner: string) => Promise<readonly CaaRecord[]>,
): Promise<CaaSet | undefined> {
  const labels = name.replace(/^\*\./, "").split(".");
  for (let first = 0; first < labels.length; first++) {
    const owner = labels.slice(first).join(".");
    const records = await lookup(owner);
    if (records.length > 0) return { owner, records };
  }
  return undefined;
}

/**
 * What a set has against a certificate; undefined if nothing. As RFC 8659 §4 and RFC 8657 have it, and where they
 * leave it open, as Boulder does: https://github.com/letsencrypt/boulder/blob/main/va/caa.go
 */
export function caaFault({ records }: CaaSet, question: CaaQuestion): CaaFault | undefined {
  const asked = propertiesFor(records, question.wildcard);
  const grants = asked.flatMap((record) => parseIssue(record) ?? []).filter(({ issuer }) => issuer !== "");
  // Compared octet by octet, as Boulder does.
  const ours = grants.filter(({ issuer }) => question.identities.includes(issuer));
  const grant = grantingRecord(asked[0]?.tag.toLowerCase() ?? "issue", ours[0], question);
  const critical = records.find(isUnknownAndCritical);
  if (critical !== undefined) {
    const why = "holds a critical property that CAs do not know, so none may issue";
    return { grant, isToGo: true, today: zoneForm(critical), why };
  }
  const isFree = asked.length === 0 || (question.identities.length === 0 && grants.length > 0);
  if (isFree || ours.some((each) => allows(each, question))) return undefined;
  const today = asked.map(zoneForm).join(", ");
  return { grant, isToGo: false, today, why: objection(grants, ours, question) };
}

function objection(grants: readonly Grant[], ours: readonly Grant[], question: CaaQuestion): string {
  if (grants.length === 0) return "forbids every CA to issue";
  const [first] = ours;
  return first === undefined
    ? `does not name ${question.identities.join(" or ")}`
    : `names ${first.issuer} with another account or without ${question.method}`;
}

/** Keeps to what the record there is narrowed by: opened for us, and for nobody else. */
function grantingRecord(tag: string, there: Grant | undefined, question: CaaQuestion): string {
  const { method, accountUri, identities } = question;
  const issuer = there?.issuer ?? identities[0];
  if (issuer === undefined) return `0 ${tag} with the name of the CA`;
  const given = (parameter: string) => there?.parameters.find((each) => each.tag === parameter)?.value;
  const account = given("accounturi");
  const parts = [
    issuer,
    ...(given("validationmethods") === undefined ? [] : [`validationmethods=${method}`]),
    ...(account === undefined ? [] : [`accounturi=${accountUri ?? account}`]),
  ];
  return `0 ${tag} "${parts.join("; ")}"`;
}

/** An issuewild counts for wildcards alone, and sets issue aside there (RFC 8659 §4.3). */
function propertiesFor(records: readonly CaaRecord[], wildcard: boolean): CaaRecord[] {
  const tagged = (tag: string) => records.filter((record) => record.tag.toLowerCase() === tag);
  const wild = wildcard ? tagged("issuewild") : [];
  return wild.length > 0 ? wild : tagged("issue");
}

/** Bit 1 is a common mistake for 128, the critical one (RFC 8659 §4.1); Boulder takes it for that. */
function isUnknownAndCritical({ flags, tag }: CaaRecord): boolean {
  return (flags & (128 | 1)) !== 0 && !["issue", "issuewild", "iodef"].includes(tag.toLowerCase());
}

interface Grant {
  issuer: string;
  parameters: readonly { tag: string; value: string }[];
}

/** RFC 8659 §4.2. Undefined for what does not fit its grammar, which grants nothing to anybody. */
function parseIssue({ value }: CaaRecord): Grant | undefined {
  const [issuer = "", ...rest] = value.split(";").map((part) => part.replace(/^[ \t]+|[ \t]+$/g, ""));
  const parts = rest.length === 1 && rest[0] === "" ? [] : rest;
  const parameters = parts.map((part) => /^([A-Za-z0-9]*)[ \t]*=[ \t]*([\x21-\x3a\x3c-\x7e]*)$/.exec(part));
  if (parameters.includes(null)) return undefined;
  return {
    issuer,
    parameters: parameters.map((match) => ({ tag: match?.[1] ?? "", value: match?.[2] ?? "" })),
  };
}

/** RFC 8657 §3 and §4. What is given twice can be met by nobody. */
function allows({ parameters }: Grant, { method, accountUri }: CaaQuestion): boolean {
  const given = (tag: string) =>
    parameters.filter((parameter) => parameter.tag === tag).map(({ value }) => value);
  const accounts = given("accounturi");
  const methods = given("validationmethods");
  if (accounts.length > 1 || methods.length > 1) return false;
  const isAccount = accounts.length === 0 || accountUri === undefined || accounts[0] === accountUri;
  return isAccount && (methods[0] === undefined || methods[0].split(",").includes(method));
}

function zoneForm({ flags, tag, value }: CaaRecord): string {
  return `${flags} ${tag} "${value}"`;
}
