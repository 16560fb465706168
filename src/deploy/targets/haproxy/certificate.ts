import { X509Certificate } from "node:crypto";
import { AppError } from "../../../core/errors.ts";
import type { Bundle } from "../../target.ts";
import { setCommand } from "./commands.ts";
import { requestOf } from "./connection.ts";

const BLOCKS = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Leaf, issuers and key in one file, as HAProxy's `crt` has it. */
export function pemOf({ keyPem, leafPem, issuersPem }: Bundle): string {
  return leafPem + issuersPem + keyPem;
}

/** A certificate without its key, in the words of `show ssl cert`. */
export interface Shown {
  /** SHA-1 of the leaf, in hex. A serial alone might be another CA's as well. */
  fingerprint: string;
  /** Subject and issuer of each certificate behind the leaf, as nothing else of them is shown. */
  chain: readonly string[];
}

/** How HAProxy shows this bundle once it has it. */
export function shownOf({ leafPem, issuersPem }: Bundle): Shown {
  const issuers = issuersPem.match(BLOCKS) ?? [];
  return {
    fingerprint: new X509Certificate(leafPem).fingerprint.replaceAll(":", ""),
    chain: issuers.flatMap((pem) => {
      const { subject, issuer } = new X509Certificate(pem);
      return [oneLine(subject), oneLine(issuer)];
    }),
  };
}

/** Names beyond ASCII come out differently: such a chain counts as another one, and is handed over once too often. */
export function isSame(one: Shown, other: Shown): boolean {
  return one.fingerprint === other.fingerprint && one.chain.join("\n") === other.chain.join("\n");
}

/** As X509_NAME_oneline(3) writes a name. */
function oneLine(name: string): string {
  return name === "" ? "" : `/${name.replaceAll("\n", "/")}`;
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
