import { randomInt } from "node:crypto";
import type { TxtRecord } from "./provider.ts";
import { uint16, wireName } from "./tsig.ts";

const OPCODE_UPDATE = 5 << 11;
const TYPE_TXT = 16;
const TYPE_SOA = 6;
const CLASS_IN = 1;
const CLASS_NONE = 254;

/**
 * An UPDATE that adds one TXT value to its name (RFC 2136 §2.5.1), or takes one away (§2.5.4: class NONE, TTL 0). Other
 * values at the name stay as they are. dns-packet knows neither that class nor the opcode's sections. `ttl`: seconds.
 */
export function updateMessage(how: "add" | "delete", record: TxtRecord, ttl: number): Buffer {
  const header = uint16(randomInt(0x1_0000), OPCODE_UPDATE, 1, 0, 1, 0);
  const zone = Buffer.concat([wireName(record.zone), uint16(TYPE_SOA, CLASS_IN)]);
  const text = Buffer.from(record.value, "latin1");
  const data = Buffer.concat([Buffer.from([text.length]), text]);
  const isAdd = how === "add";
  const life = Buffer.alloc(4);
  life.writeUInt32BE(isAdd ? ttl : 0);
  const change = Buffer.concat([
    wireName(record.name),
    uint16(TYPE_TXT, isAdd ? CLASS_IN : CLASS_NONE),
    life,
    uint16(data.length),
    data,
  ]);
  return Buffer.concat([header, zone, change]);
}
