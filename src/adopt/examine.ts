import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { certificateId, type IssuedLeaf, type KeyType } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { certIdOf } from "../pki/cert-id.ts";
import { BLOCK, commonName } from "../pki/chain.ts";
import { type Found, refuse } from "./found.ts";
import { chooseFirst, namesOf } from "./leaf-names.ts";

/** Milliseconds by which a clock may be wrong; CAs backdate by an hour. */
const CLOCK_SKEW = 3_600_000;

/** What was found, looked into: it can be used and renewed. */
export interface Examined {
  id: string;
  /** Those of the leaf, the one that names the certificate first. */
  names: string[];
  /** Of its key; for what a renewal cannot ask for, the nearest. */
  keyType: KeyType;
  /** A key of a kind that a renewal cannot ask for: what it is. */
  oddKey?: string;
  leaf: Pick<IssuedLeaf, "notBefore" | "notAfter" | "issuer" | "serial" | "renewAt" | "certId">;
  leafPem: string;
  /** The leaf's issuer first. */
  issuersPem: string;
  /** PKCS #8. */
  keyPem: string;
}

/** Refuses what could not be served, or not be renewed. */
export function examine(found: Found, now: number): Examined {
  const [leafPem] = blocksOf(found.leafPem);
  if (leafPem === undefined) throw refuse("adopt_bad_pem", "Its certificate file holds no PEM certificate.");
  const leaf = parse(leafPem, "certificate");
  const key = readKey(found.keyPem);
  if (!leaf.checkPrivateKey(key))
    throw refuse(
      "adopt_key_mismatch",
      "Its private key does not belong to its certificate. Have the other client renew it and adopt it again, or order it anew.",
    );
  const [notBefore, notAfter] = checkTimes(leaf, now);
  const names = chooseFirst(namesOf(leaf), found.name, commonName(leaf.subject ?? ""));
  const certId = certIdOf(leafPem);
  return {
    id: certificateId(names[0] ?? ""),
    names,
    ...keyTypeOf(key),
    leaf: {
      notBefore,
      notAfter,
      issuer: commonName(leaf.issuer),
      serial: leaf.serialNumber.toUpperCase(),
      // As the other client would; when it is renewed here is planned when it is put in.
      renewAt: Math.round(notAfter - (notAfter - notBefore) / 3),
      ...(certId === undefined ? {} : { certId }),
    },
    leafPem: `${leafPem}\n`,
    issuersPem: checkedIssuers(leaf, found.issuersPem),
    keyPem: key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function blocksOf(pem: string): string[] {
  return (pem.match(BLOCK) ?? []).map((block) => block.replace(/\r/g, ""));
}

function parse(block: string, what: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch (error) {
    throw refuse("adopt_bad_pem", `Its ${what} file is broken: it cannot be read as PEM.`, error);
  }
}

function readKey(pem: string): KeyObject {
  if (/^-----BEGIN ENCRYPTED|^Proc-Type: .*ENCRYPTED/m.test(pem))
    throw refuse(
      "adopt_key_encrypted",
      "Its private key is encrypted: decrypt it (openssl pkey -in FILE -out FILE), and adopt it again.",
    );
  try {
    return createPrivateKey(pem);
  } catch {
    // The cause is left out, as it may quote what it read.
    throw refuse("adopt_bad_pem", "Its private key's file is broken: it cannot be read as PEM.");
  }
}

function checkTimes(leaf: X509Certificate, now: number): [number, number] {
  const [notBefore, notAfter] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
  if (notAfter <= now)
    throw refuse(
      "adopt_expired",
      `It has ended at ${rfc3339(notAfter)}. Import it as a new row, or \`certherd issue -d NAME\`, if it is still wanted.`,
    );
  if (notBefore > now + CLOCK_SKEW)
    throw refuse(
      "adopt_not_yet_valid",
      `It begins only at ${rfc3339(notBefore)}: look at this host's clock.`,
    );
  return [notBefore, notAfter];
}

/** Each one signed by the next (RFC 8555 §9.1); a root at its end may stay. */
function checkedIssuers(leaf: X509Certificate, pem: string): string {
  const blocks = blocksOf(pem);
  if (blocks.length === 0)
    throw refuse(
      "adopt_no_chain",
      "The certificates of its issuers are missing, without which browsers refuse it. Have the other client renew it and adopt it again, or order it anew.",
    );
  let below = leaf;
  for (const block of blocks) {
    const issuer = parse(block, "chain");
    if (!below.checkIssued(issuer) || !below.verify(issuer.publicKey))
      throw refuse(
        "adopt_bad_chain",
        `Its chain is out of order: "${commonName(below.subject ?? "") || "the certificate"}" is not signed by "${commonName(issuer.subject)}". Have the other client renew it and adopt it again, or order it anew.`,
      );
    below = issuer;
  }
  return blocks.map((block) => `${block}\n`).join("");
}

function keyTypeOf(key: KeyObject): Pick<Examined, "keyType" | "oddKey"> {
  const { namedCurve, modulusLength: bits = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      if (bits === 2_048) return { keyType: "rsa2048" };
      if (bits === 3_072) return { keyType: "rsa3072" };
      if (bits === 4_096) return { keyType: "rsa4096" };
      return { keyType: bits < 2_048 ? "rsa2048" : "rsa4096", oddKey: `RSA of ${bits} bits` };
    case "ec":
      if (namedCurve === "prime256v1") return { keyType: "ec256" };
      if (namedCurve === "secp384r1") return { keyType: "ec384" };
      return { keyType: "ec384", oddKey: `EC on ${namedCurve}` };
    default:
      return { keyType: "ec256", oddKey: key.asymmetricKeyType ?? "another kind" };
  }
}
