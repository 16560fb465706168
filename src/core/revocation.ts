/** RFC 5280 §5.3.1, those that a subscriber may give (RFC 8555 §7.6, Baseline Requirements §4.9.1). */
export const REVOCATION_REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
} as const;
export type RevocationReason = keyof typeof REVOCATION_REASONS;
