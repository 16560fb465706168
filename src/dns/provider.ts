/** One TXT value at one name. A name may have several of them at once: each is set and removed by itself. */
export interface TxtRecord {
  /** The name at which it stands, where a CNAME has led already: A-labels, no last dot. */
  name: string;
  /** base64url of the SHA-256 digest of a key authorization (RFC 8555 §8.4). */
  value: string;
  /** The zone that the name stands in. */
  zone: string;
}

/**
 * What can set TXT records: a port. Both methods may be called again for what is done already. They throw an AppError
 * of disposition `attention` for what a person has to mend, `unavailable` where the same may succeed later, `retry`
 * and `node` as a program ends.
 */
export interface DnsProvider {
  present(record: TxtRecord): Promise<void>;
  /** Removes that value, and no other one at its name. */
  cleanUp(record: TxtRecord): Promise<void>;
}
