import { isIP } from "node:net";

/** https://letsencrypt.org/docs/challenge-types/#http-01-challenge; the codes are those of CA/B Forum BR §3.2.2.4.19. */
const FOLLOWED = new Set([301, 302, 307, 308]);
export const MOST_REDIRECTS = 10;
/** Characters; `maxPathSize` of Boulder's va/http.go. */
const MOST_PATH = 2_000;

export interface Ports {
  /** Where the probe begins, and where a redirect to http: leads: 80, but in tests. */
  http: number;
  /** Where a redirect to https: leads: 443, but in tests. */
  https: number;
}

/** `why` goes on from the host's name: "redirects to a URL that …". */
export type Hop = { url: URL } | { why: string };

export function isRedirect(status: number): boolean {
  return status >= 300 && status < 400 && status !== 304;
}

/**
 * Where a redirect leads, if a CA would follow it. The rules are Boulder's, as its documents and its code have them:
 * https://github.com/letsencrypt/boulder/blob/main/va/http.go. It follows one to an IP address by now; its documents
 * say that it does not, and other CAs may well not.
 * `seen`: the URLs before this one, the first one included.
 */
export function nextHop(
  status: number,
  location: string | undefined,
  seen: readonly URL[],
  ports: Ports,
): Hop {
  const from = seen.at(-1);
  if (!FOLLOWED.has(status)) return { why: `answers with status ${status}, which no CA follows` };
  if (location === undefined) return { why: `answers with status ${status} and no Location` };
  if (seen.length > MOST_REDIRECTS) return { why: `redirects more than ${MOST_REDIRECTS} times` };
  const url = parse(location, from);
  if (url === undefined) return { why: "redirects to something that is no URL" };
  url.hash = "";
  const fault = faultOf(url, seen, ports);
  return fault === undefined ? { url } : { why: `redirects to ${shown(url)}, ${fault}` };
}

function faultOf(url: URL, seen: readonly URL[], ports: Ports): string | undefined {
  if (url.protocol !== "http:" && url.protocol !== "https:") return "which is neither http nor https";
  if (url.port !== "" && ![80, 443, ports.http, ports.https].includes(Number(url.port)))
    return "whose port is neither 80 nor 443";
  if (isIP(url.hostname.replace(/^\[(.*)\]$/, "$1")) !== 0) return "which has an IP address for a name";
  if (url.hostname.endsWith(".well-known")) return "where a / is missing after the name";
  if (url.pathname.length > MOST_PATH) return "which is too long";
  return seen.some((earlier) => earlier.href === url.href) ? "in a circle" : undefined;
}

/** The port to connect to. One that is not in the URL is the configured one, as in Boulder. */
export function portOf(url: URL, ports: Ports): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? ports.https : ports.http;
}

/** For a sentence: without what is asked there, and never long. */
export function shown(url: URL): string {
  const text = `${url.protocol}//${url.host}`;
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}

function parse(location: string, base: URL | undefined): URL | undefined {
  try {
    return new URL(location, base);
  } catch {
    return undefined;
  }
}
