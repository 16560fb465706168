import { createPrivateKey, type KeyObject } from "node:crypto";
import acme from "acme-client";
import { sendRequest, type TransportResponse } from "./transport.ts";

export interface ClientSettings {
  directory: string;
  keyPem: string;
  /** The account's URL, where it is known. */
  accountUrl?: string;
  eab?: { kid: string; hmacKey: string };
}

/** The two places inside the library (5.4.0, pinned exactly) that bulk needs changed. */
interface Internals {
  http?: {
    accountKey?: Buffer | KeyObject;
    request?: (url: string, method: string, options?: { data?: unknown }) => Promise<TransportResponse>;
  };
}

/**
 * acme-client with what is weak at bulk replaced: its requests go through our transport, and its account key is
 * parsed once. The library parses the PEM anew for each signature and sends each request through axios and its
 * interceptors, which together take a third of its time. The endpoint has to be open (see transport.ts).
 */
export function openClient({ directory, keyPem, accountUrl, eab }: ClientSettings): acme.Client {
  const client = new acme.Client({
    directoryUrl: directory,
    accountKey: keyPem,
    ...(accountUrl === undefined ? {} : { accountUrl }),
    ...(eab === undefined ? {} : { externalAccountBinding: eab }),
  });
  const { http } = client as unknown as Internals;
  if (!http?.accountKey || typeof http.request !== "function")
    throw new Error(
      "This version of acme-client is built differently: pin 5.4.0, or adapt src/acme/client.ts.",
    );
  http.accountKey = createPrivateKey(keyPem);
  http.request = (url, method, options) => sendRequest(directory, url, method, options?.data);
  return client;
}
