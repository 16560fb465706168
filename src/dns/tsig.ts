import { createHmac, timingSafeEqual } from "node:crypto";
import { plainName } from "./query.ts";

export const TSIG_ALGORITHMS = ["hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha1"] as const;
export type TsigAlgorithm = (typeof TSIG_ALGORITHMS)[number];

export interface TsigKey {
  name: string;
  algorithm: TsigAlgorithm;
  secret: Buffer;
}

/** A message with its TSIG behind it, and the MAC that the answer's one is bound to. */
export interface Signed {
  message: Buffer;
  mac: Buffer;
}

/** What became of an answer's TSIG. `error`: as the server gave it, RCODES; 0 where there is none. */
export type TsigCheck =
  | { kind: "good"; error: number; serverTime?: number }
  /** BADKEY and BADSIG come without a MAC (RFC 8945 §5.3.2): the server says so, and nobody can prove it. */
  | { kind: "unsigned"; error: number }
  | { kind: "missing" | "bad" };

const TYPE_TSIG = 250;
const CLASS_ANY = 255;
const HEADER = 12;
/** Seconds (RFC 8945 §10). */
const FUDGE = 300;

/** Puts a TSIG behind a message (RFC 8945 §5.1). `now`: milliseconds since the epoch. */
export function sign(message: Buffer, key: TsigKey, now: number): Signed {
  const time = Math.floor(now / 1_000);
  const mac = digest(key, [
    message,
    variables(key, { time, fudge: FUDGE, error: 0, other: Buffer.alloc(0) }),
  ]);
  const data = Buffer.concat([
    wireName(key.algorithm),
    uint48(time),
    uint16(FUDGE, mac.length),
    mac,
    uint16(message.readUInt16BE(0), 0, 0),
  ]);
  const record = Buffer.concat([wireName(key.name), uint16(TYPE_TSIG, CLASS_ANY, 0, 0, data.length), data]);
  const signed = Buffer.concat([message, record]);
  signed.writeUInt16BE(message.readUInt16BE(10) + 1, 10);
  return { message: signed, mac };
}

/** Checks the TSIG of the answer to a signed message (RFC 8945 §5.3, §5.4). Throws nothing. */
export function verify(answer: Buffer, request: Signed, key: TsigKey, now: number): TsigCheck {
  let found: ReturnType<typeof readTsig>;
  try {
    found = readTsig(answer);
  } catch {
    return { kind: "bad" };
  }
  if (found === undefined) return { kind: "missing" };
  const { bare, name, algorithm, mac, time, fudge, error, other } = found;
  if (mac.length === 0) return { kind: "unsigned", error };
  if (name !== plainName(key.name) || algorithm !== key.algorithm) return { kind: "bad" };
  const expected = digest(key, [
    uint16(request.mac.length),
    request.mac,
    bare,
    variables(key, { time, fudge, error, other }),
  ]);
  // A MAC cut short is not taken: we sign with the whole one, and a server has to answer in kind (RFC 8945 §5.2.2.1).
  if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) return { kind: "bad" };
  if (error === 18 && other.length === 6)
    return { kind: "good", error, serverTime: other.readUIntBE(0, 6) * 1_000 };
  return Math.abs(now / 1_000 - time) > fudge ? { kind: "bad" } : { kind: "good", error };
}

interface Variables {
  time: number;
  fudge: number;
  error: number;
  other: Buffer;
}

/** RFC 8945 §4.3.3 */
function variables({ name, algorithm }: TsigKey, { time, fudge, error, other }: Variables): Buffer {
  return Buffer.concat([
    wireName(name),
    uint16(CLASS_ANY, 0, 0),
    wireName(algorithm),
    uint48(time),
    uint16(fudge, error, other.length),
    other,
  ]);
}

function digest({ algorithm, secret }: TsigKey, parts: readonly Buffer[]): Buffer {
  const hmac = createHmac(algorithm.replace("hmac-", ""), secret);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

/** The TSIG at the end of a message, and the message as it was before (RFC 8945 §5.2). */
function readTsig(message: Buffer) {
  const counts = [4, 6, 8, 10].map((at) => message.readUInt16BE(at));
  const [questions = 0, answers = 0, authorities = 0, additionals = 0] = counts;
  let at = HEADER;
  for (let i = 0; i < questions; i++) at = afterName(message, at) + 4;
  const records = answers + authorities + additionals;
  if (additionals === 0) return undefined;
  for (let i = 0; i < records - 1; i++) {
    const fixed = afterName(message, at);
    at = fixed + 10 + message.readUInt16BE(fixed + 8);
  }
  const name = readName(message, at);
  const fixed = afterName(message, at);
  if (message.readUInt16BE(fixed) !== TYPE_TSIG) return undefined;
  const algorithmAt = fixed + 10;
  const data = afterName(message, algorithmAt);
  const macLength = message.readUInt16BE(data + 8);
  const macEnd = data + 10 + macLength;
  const otherLength = message.readUInt16BE(macEnd + 4);
  const bare = Buffer.from(message.subarray(0, at));
  bare.writeUInt16BE(message.readUInt16BE(macEnd), 0);
  bare.writeUInt16BE(additionals - 1, 10);
  return {
    bare,
    name,
    algorithm: readName(message, algorithmAt),
    time: message.readUIntBE(data, 6),
    fudge: message.readUInt16BE(data + 6),
    mac: message.subarray(data + 10, macEnd),
    error: message.readUInt16BE(macEnd + 2),
    other: message.subarray(macEnd + 6, macEnd + 6 + otherLength),
  };
}

function afterName(message: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const length = message.readUInt8(at);
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += length + 1;
  }
}

/** Names in a TSIG may be compressed where they are its owner (RFC 3597 §4). */
function readName(message: Buffer, start: number): string {
  const labels: string[] = [];
  let at = start;
  // Each pointer leads to what stands before it, so that there is an end.
  for (let least = message.length; ; ) {
    const length = message.readUInt8(at);
    if (length === 0) return labels.join(".").toLowerCase();
    if (length >= 0xc0) {
      const to = message.readUInt16BE(at) & 0x3fff;
      if (to >= least) throw new RangeError("A pointer leads on.");
      least = to;
      at = to;
    } else {
      labels.push(message.toString("latin1", at + 1, at + 1 + length));
      at += length + 1;
    }
  }
}

/** In the canonical form (RFC 4034 §6.2), which is what is signed. */
export function wireName(name: string): Buffer {
  const labels = plainName(name)
    .split(".")
    .filter((label) => label !== "");
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")])),
    Buffer.from([0]),
  ]);
}

export function uint16(...values: number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) buffer.writeUInt16BE(value, index * 2);
  return buffer;
}

function uint48(value: number): Buffer {
  const buffer = Buffer.alloc(6);
  buffer.writeUIntBE(value, 0, 6);
  return buffer;
}
