import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { sign, type TsigKey, verify } from "../../../src/dns/tsig.ts";
import { updateMessage } from "../../../src/dns/update.ts";

const KEY: TsigKey = { name: "Certherd-Key", algorithm: "hmac-sha256", secret: Buffer.from("secret") };
const NOW = 1_700_000_000_000;
const RECORD = { name: "_acme-challenge.example.com", value: "value", zone: "example.com" };

/** As a server would: the answer to a request, signed with the request's MAC before it (RFC 8945 §5.3). */
function answer(mac: Buffer, { rcode = 0, at = NOW, key = KEY } = {}): Buffer {
  const bare = Buffer.alloc(12);
  bare.writeUInt16BE(7, 0);
  bare[2] = 0xa8;
  bare[3] = rcode;
  const prefix = Buffer.alloc(2);
  prefix.writeUInt16BE(mac.length);
  // What `sign` signs is the message alone, so the request's MAC is put before it by hand.
  const { message } = sign(bare, key, at);
  const own = message.subarray(12);
  const nameEnd = own.indexOf(0) + 1;
  const algorithm = own.subarray(nameEnd + 10, own.indexOf(0, nameEnd + 10) + 1);
  const data = nameEnd + 10 + algorithm.length;
  const variables = Buffer.concat([
    own.subarray(0, nameEnd),
    Buffer.from([0, 255, 0, 0, 0, 0]),
    algorithm,
    own.subarray(data, data + 8),
    Buffer.alloc(4),
  ]);
  const signed = createHmac("sha256", key.secret)
    .update(prefix)
    .update(mac)
    .update(bare)
    .update(variables)
    .digest();
  signed.copy(message, 12 + data + 10);
  return message;
}

describe("a TSIG", () => {
  const request = sign(updateMessage("add", RECORD, 60), KEY, NOW);

  it("is bound to the message, the key, the time and what was asked", () => {
    expect(verify(answer(request.mac), request, KEY, NOW)).toEqual({ kind: "good", error: 0 });
    const changed = answer(request.mac);
    changed[3] = 5;
    expect(verify(changed, request, KEY, NOW)).toEqual({ kind: "bad" });
    expect(verify(answer(Buffer.alloc(32)), request, KEY, NOW)).toEqual({ kind: "bad" });
    const other = { ...KEY, secret: Buffer.from("other") };
    expect(verify(answer(request.mac, { key: other }), request, KEY, NOW)).toEqual({ kind: "bad" });
    expect(verify(answer(request.mac), request, { ...KEY, name: "other" }, NOW)).toEqual({ kind: "bad" });
    expect(verify(answer(request.mac), request, { ...KEY, algorithm: "hmac-sha512" }, NOW)).toEqual({
      kind: "bad",
    });
    expect(verify(answer(request.mac, { at: NOW - 301_000 }), request, KEY, NOW)).toEqual({ kind: "bad" });
    expect(verify(answer(request.mac, { at: NOW - 299_000 }), request, KEY, NOW)).toMatchObject({
      kind: "good",
    });
  });

  it("may be missing, and may be garbage", () => {
    expect(verify(answer(request.mac).subarray(0, 12), request, KEY, NOW)).toEqual({ kind: "bad" });
    const bare = Buffer.alloc(12);
    expect(verify(bare, request, KEY, NOW)).toEqual({ kind: "missing" });
    const whole = answer(request.mac);
    for (let cut = 13; cut < whole.length; cut++)
      expect(verify(whole.subarray(0, cut), request, KEY, NOW)).toEqual({ kind: "bad" });
  });

  it("counts as one more additional record", () => {
    expect(request.message.readUInt16BE(10)).toBe(1);
    expect(request.message.readUInt16BE(2)).toBe(5 << 11);
  });
});
