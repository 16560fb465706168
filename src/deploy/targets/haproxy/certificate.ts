import { X509Certificate } from "node:crypto";
import { AppError } from "../../../core/errors.ts";
import type { Bundle } from "../../target.ts";
import { setCommand } from "./commands.ts";
import { requestOf } from "./connection.ts";

/** Leaf, issuers and key in one file, as HAProxy's `crt` has it. */
export function pemOf({ keyPem, leafPem, issuersPem }: Bundle): string {
  return leafPem + issuersPem + keyPem;
}

/** SHA-1 of the leaf, in hex, as HAProxy prints it. A serial alone might be another CA's as well. */
export function fingerprintOf({ leafPem }: Bundle): string {
  return new X509Certificate(leafPem).fingerprint.replaceAll(":", "");
}

/**
 * Why a bundle cannot be handed over. Command, payload and blank line have to fit one buffer: on 2.6 a byte more closes
 * the connection without a word, and a buffer filled to the last byte ends HAProxy. `bufferSize` in bytes.
 */
export function tooLarge(bundle: Bundle, file: string, bufferSize: number): AppError | undefined {
  const size = Buffer.byteLength(requestOf(setCommand(file), pemOf(bundle)));
  if (size < bufferSize) return undefined;
  const needed = Math.ceil((size + 1) / 4_096) * 4_096;
  return new AppError(
    `The certificate ${bundle.id} with its key and chain takes ${size} bytes, and HAProxy's socket takes less than tune.bufsize, ${bufferSize} bytes. Set "tune.bufsize ${needed}" in its global section and restart it, or have the certificate issued with an ECDSA key, a shorter chain or fewer names.`,
    { code: "bundle_too_large", disposition: "attention", identifier: bundle.names[0] },
  );
}
