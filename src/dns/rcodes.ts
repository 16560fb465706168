/** RFC 1035 §4.1.1, RFC 2136 §2.2, and those that stand in a TSIG (RFC 8945 §3). */
export const RCODES = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  BADSIG: 16,
  BADKEY: 17,
  BADTIME: 18,
  BADTRUNC: 22,
} as const;

/** Of a whole message. */
export function rcodeOf(message: Buffer): number {
  return (message[3] ?? 0) & 0x0f;
}

export function rcodeWord(rcode: number): string {
  return Object.entries(RCODES).find(([, value]) => value === rcode)?.[0] ?? `RCODE ${rcode}`;
}
