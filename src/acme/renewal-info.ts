import type { RenewalWindow } from "../core/certificate.ts";
import { AppError } from "../core/errors.ts";
import { retryAtOf, sendRequest } from "./transport.ts";

/** What a CA suggests for the renewal of one certificate (RFC 9773 §4.2). */
export interface RenewalInfo {
  window: RenewalWindow;
  /** A page for a person, where the CA has a reason. */
  explanationUrl?: string;
  /** Milliseconds since the epoch: neither to be asked much sooner nor much later. */
  retryAt?: number;
}

/** A time with its zone (RFC 3339 §5.6). */
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

/**
 * Asks for it, without an account. `base`: the directory's `renewalInfo`. Throws an AppError: `transient` where asking
 * again soon may help, else the CA will say the same for a while.
 */
export async function fetchRenewalInfo(
  directory: string,
  base: string,
  certId: string,
): Promise<RenewalInfo> {
  const { data } = await sendRequest(directory, `${base.replace(/\/$/, "")}/${certId}`, "GET");
  const { suggestedWindow, explanationURL } = isDocument(data) ? data : {};
  const window = { start: timeOf(suggestedWindow?.start), end: timeOf(suggestedWindow?.end) };
  // A window that ends before it begins means nothing (§4.2).
  if (!(window.end > window.start)) throw useless();
  const retryAt = retryAtOf(data as object);
  return {
    window,
    ...(typeof explanationURL === "string" && /^https?:/.test(explanationURL)
      ? { explanationUrl: explanationURL }
      : {}),
    ...(retryAt === undefined ? {} : { retryAt }),
  };
}

interface Document {
  suggestedWindow?: { start?: unknown; end?: unknown };
  explanationURL?: unknown;
}

function isDocument(data: unknown): data is Document {
  if (typeof data !== "object" || data === null) return false;
  const { suggestedWindow } = data as Document;
  return typeof suggestedWindow === "object" && suggestedWindow !== null;
}

function timeOf(text: unknown): number {
  return typeof text === "string" && RFC3339.test(text) ? Date.parse(text) : Number.NaN;
}

function useless(): AppError {
  return new AppError("The CA's answer about the renewal was of no use: it names no window.", {
    code: "ca_answer",
    disposition: "attention",
  });
}
