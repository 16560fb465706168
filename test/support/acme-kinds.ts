/** Names for the kinds of requests Pebble serves, by the paths it gives them (2.4 to 2.10). */

/** Where a HEAD gets a nonce. */
export const NEW_NONCE_PATH = "/nonce-plz";

const KINDS: readonly (readonly [prefix: string, kind: string])[] = [
  ["/dir", "directory"],
  [NEW_NONCE_PATH, "newNonce"],
  ["/sign-me-up", "newAccount"],
  ["/my-account/", "account"],
  ["/order-plz", "newOrder"],
  ["/my-order/", "order"],
  ["/finalize-order/", "finalize"],
  ["/list-orderz/", "orders"],
  ["/authZ/", "authz"],
  ["/chalZ/", "challenge"],
  ["/certZ/", "certificate"],
  ["/revoke-cert", "revokeCert"],
  ["/rollover-account-key", "keyChange"],
  ["/draft-ietf-acme-ari", "renewalInfo"],
  ["/set-renewal-info/", "setRenewalInfo"],
];

export function acmeKind(path: string): string {
  return KINDS.find(([prefix]) => path.startsWith(prefix))?.[1] ?? "other";
}

/** How many requests there were of each kind; a kind that never came is absent. */
export type RequestCounts = Record<string, number>;

export function countRequest(counts: RequestCounts, kind: string): void {
  counts[kind] = (counts[kind] ?? 0) + 1;
}
