import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { rootCertificates } from "node:tls";
import { AppError } from "../core/errors.ts";

export interface DirectoryFacts {
  /** How far this host's clock is ahead of the CA's Date header, milliseconds. */
  skew: number;
  /** Milliseconds until the answer. */
  latency: number;
  newOrder: boolean;
  externalAccountRequired: boolean;
  /** Where it tells when to renew (RFC 9773 §4.1); undefined for a CA that does not. */
  renewalInfo: string | undefined;
  /** The names by which CAA records allow it (RFC 8555 §7.1.1). */
  caaIdentities: readonly string[];
  /** What the CA offers, and what it says of each (draft-ietf-acme-profiles §3); undefined where it knows no profiles. */
  profiles: ReadonlyMap<string, string> | undefined;
  /** The URL of the terms that are in force now. */
  termsOfService: string | undefined;
}

const TIMEOUT = 10_000;

/** One look at a CA's directory (RFC 8555 §7.1.1), outside of any account. Throws when it cannot be reached. */
export async function readDirectory(ca: { directory: string; root?: string }): Promise<DirectoryFacts> {
  const startedAt = Date.now();
  const { body, date } = await get(ca);
  const endedAt = Date.now();
  const directory = parse(body);
  // The Date header has whole seconds: it was written half a second after its value, on average.
  const theirs = Date.parse(date ?? "") + 500;
  return {
    skew: Number.isNaN(theirs) ? 0 : Math.round((startedAt + endedAt) / 2 - theirs),
    latency: endedAt - startedAt,
    newOrder: typeof directory.newOrder === "string",
    externalAccountRequired: directory.meta?.externalAccountRequired === true,
    caaIdentities: strings(directory.meta?.caaIdentities),
    profiles: profilesOf(directory.meta?.profiles),
    termsOfService: textOf(directory.meta?.termsOfService),
    renewalInfo: textOf(directory.renewalInfo),
  };
}

function profilesOf(value: unknown): ReadonlyMap<string, string> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return new Map(Object.entries(value).map(([name, told]) => [name, typeof told === "string" ? told : ""]));
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

interface Document {
  newOrder?: unknown;
  renewalInfo?: unknown;
  meta?: {
    externalAccountRequired?: unknown;
    caaIdentities?: unknown;
    profiles?: unknown;
    termsOfService?: unknown;
  };
}

function parse(body: string): Document {
  try {
    const document: unknown = JSON.parse(body);
    return typeof document === "object" && document !== null ? document : {};
  } catch {
    return {};
  }
}

function get({
  directory,
  root,
}: {
  directory: string;
  root?: string;
}): Promise<{ body: string; date: string | undefined }> {
  const request = directory.startsWith("https:") ? httpsRequest : httpRequest;
  const ca = root === undefined ? {} : { ca: [...rootCertificates, root] };
  return new Promise((resolve, reject) => {
    const outgoing = request(
      directory,
      { ...ca, agent: false, headers: { "User-Agent": "certherd/0.1" } },
      (incoming) => {
        let body = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (chunk: string) => {
          body += chunk.slice(0, 65_536);
        });
        incoming.on("end", () => resolve({ body, date: incoming.headers.date }));
      },
    );
    outgoing.setTimeout(TIMEOUT, () => outgoing.destroy(new Error("no answer within 10 s")));
    outgoing.on("error", (error) => {
      const detail = `${directory} cannot be reached: ${error.message}.`;
      reject(
        new AppError(detail, {
          // Nothing but a look: whatever a CA counts, it has not counted this.
          code: "ca_unreachable",
          unsent: true,
          disposition: "transient",
          cause: error,
        }),
      );
    });
    outgoing.end();
  });
}
