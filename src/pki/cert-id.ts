import { X509Certificate } from "node:crypto";

/** DER tags that are needed to walk to an extension of a certificate (RFC 5280 §4.1). */
const SEQUENCE = 0x30;
const INTEGER = 0x02;
const OCTET_STRING = 0x04;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
/** [0] of AuthorityKeyIdentifier (RFC 5280 §4.2.1.1). */
const KEY_IDENTIFIER = 0x80;
/** id-ce-authorityKeyIdentifier, 2.5.29.35, in DER. */
const AUTHORITY_KEY_IDENTIFIER = Buffer.from("0603551d23", "hex");

interface Element {
  tag: number;
  /** The content octets. */
  content: Buffer;
  whole: Buffer;
}

/**
 * How a CA knows a certificate in renewal information (RFC 9773 §4.1): the identifier of its issuer's key and the
 * content octets of its serial, in base64url. Undefined for a certificate that names no such identifier.
 */
export function certIdOf(pem: string): string | undefined {
  const [certificate] = elements(new X509Certificate(pem).raw);
  const [tbs] = elements(certificate?.content);
  const fields = elements(tbs?.content).filter(({ tag }) => tag !== VERSION);
  const serial = fields[0]?.tag === INTEGER ? fields[0].content : undefined;
  const keyIdentifier = authorityKeyIdentifier(fields.find(({ tag }) => tag === EXTENSIONS));
  if (!serial || !keyIdentifier) return undefined;
  return `${keyIdentifier.toString("base64url")}.${serial.toString("base64url")}`;
}

function authorityKeyIdentifier(extensions: Element | undefined): Buffer | undefined {
  const [list] = elements(extensions?.content);
  for (const { tag, content } of elements(list?.content)) {
    if (tag !== SEQUENCE) continue;
    // The identifier; whether it is critical, which may be left out; the value.
    const parts = elements(content);
    if (!parts[0]?.whole.equals(AUTHORITY_KEY_IDENTIFIER)) continue;
    const value = parts.find((part) => part.tag === OCTET_STRING);
    const [identifier] = elements(value?.content);
    return elements(identifier?.content).find((part) => part.tag === KEY_IDENTIFIER)?.content;
  }
  return undefined;
}

/** The elements that stand one after the other in DER (X.690 §8.1); none where it is not whole. */
function elements(der: Buffer | undefined): Element[] {
  const found: Element[] = [];
  for (let at = 0; der && at + 2 <= der.length; ) {
    const tag = der[at] ?? 0;
    const first = der[at + 1] ?? 0;
    const more = first < 0x80 ? 0 : first & 0x7f;
    const length = more === 0 ? first : der.readUIntBE(at + 2, Math.min(more, 6));
    const begin = at + 2 + more;
    const end = begin + length;
    if (end > der.length) return [];
    found.push({ tag, content: der.subarray(begin, end), whole: der.subarray(at, end) });
    at = end;
  }
  return found;
}
