import type { BulkAction } from "../data/certificates.ts";
import { count } from "../format.ts";

export interface ActionWords {
  label: string;
  /** As a question with their number. */
  ask: (n: number) => string;
  /** What will happen, as sentences. */
  happens: readonly string[];
  /** While it is done, and when it is. */
  doing: string;
  done: string;
  scope: "enqueue" | "admin";
  danger?: boolean;
}

const them = (n: number): string => count(n, "certificate");

/** What each action does, told before it is done. */
export const ACTIONS: Readonly<Record<BulkAction, ActionWords>> = {
  retry: {
    label: "Retry",
    ask: (n) => `Try ${them(n)} again?`,
    happens: [
      "What has failed, or waits for its next attempt, is tried again now; what was issued and only not deployed is deployed again, without a new order.",
      "Those that have not failed are left as they are, and are listed afterwards.",
      "Each new order counts towards the limits of the CA.",
    ],
    doing: "Trying again",
    done: "put in line again",
    scope: "enqueue",
  },
  renew: {
    label: "Renew",
    ask: (n) => `Renew ${them(n)} now?`,
    happens: [
      "A new certificate is ordered for each, though the present one may be good for weeks. The present one goes on being served until the new one is.",
      "Where the CA does not count renewals these take nothing from its limits; where it does, all of them wait in line for their turn.",
    ],
    doing: "Asking for renewals",
    done: "to be renewed",
    scope: "enqueue",
  },
  pause: {
    label: "Pause",
    ask: (n) => `Pause ${them(n)}?`,
    happens: [
      "Nothing more is ordered, renewed or deployed for them until somebody resumes them. An order under way is left where it stands.",
      "What nodes serve now goes on being served, and ends when it ends.",
    ],
    doing: "Pausing",
    done: "paused",
    scope: "admin",
  },
  resume: {
    label: "Resume",
    ask: (n) => `Resume ${them(n)}?`,
    happens: ["They go on where they were. Those that are not paused are left as they are."],
    doing: "Resuming",
    done: "resumed",
    scope: "admin",
  },
  remove: {
    label: "Remove",
    ask: (n) => `Remove ${them(n)}?`,
    happens: [
      "They are taken away from every node, which then serves its default certificate for these names. They are not renewed any more, and leave this list once the last node has let go of them.",
      "Their files are moved to the archive. They are not revoked: the CA goes on calling them good until they end.",
    ],
    doing: "Removing",
    done: "removed",
    scope: "admin",
    danger: true,
  },
};
