import type { CertificateShown } from "../../api/schemas/certificates.ts";

export type Status = CertificateShown["status"];
export type Tone = "good" | "busy" | "wait" | "bad" | "idle";

/** In the order of a certificate's way; what stands beside it comes last. */
export const STATUS: Readonly<Record<Status, { label: string; tone: Tone }>> = {
  queued: { label: "Queued", tone: "busy" },
  waiting: { label: "Waiting", tone: "wait" },
  checking: { label: "Checking", tone: "busy" },
  ordering: { label: "Ordering", tone: "busy" },
  validating: { label: "Validating", tone: "busy" },
  finalizing: { label: "Finalizing", tone: "busy" },
  issued: { label: "Issued", tone: "good" },
  deploying: { label: "Deploying", tone: "busy" },
  serving: { label: "Serving", tone: "good" },
  attention: { label: "Needs attention", tone: "bad" },
  paused: { label: "Paused", tone: "idle" },
  removed: { label: "Removed", tone: "idle" },
};

export const STATUS_LIST = Object.keys(STATUS) as Status[];

/** What a certificate in `waiting` waits for. */
export const REASON: Readonly<Record<string, string>> = {
  limit: "a limit of the CA",
  retry: "the next attempt",
  customer: "the owner of the domain",
  node: "a node",
  ca: "the CA",
  person: "a person",
};

export function isStatus(text: string): text is Status {
  return Object.hasOwn(STATUS, text);
}

/** A shape besides the colour, for those to whom colours say nothing. */
const SHAPE: Readonly<Record<Tone, string>> = {
  good: "M2 6.5 5 9.5 10.5 3",
  busy: "M6 1.5a4.5 4.5 0 1 1-4.5 4.5",
  wait: "M6 2v4.5l3 1.5",
  bad: "M6 1.5v5.5M6 10v.5",
  idle: "M4 2.5v7M8 2.5v7",
};

export function Badge({ tone, children }: { tone: Tone; children: preact.ComponentChildren }) {
  return (
    <span class={`badge tone-${tone}`}>
      <svg viewBox="0 0 12 12" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">
        <path d={SHAPE[tone]} stroke-linecap="round" stroke-linejoin="round" />
      </svg>
      {children}
    </span>
  );
}

export function StatusBadge({ status, reason }: { status: Status; reason?: string | undefined }) {
  const { label, tone } = STATUS[status];
  const forWhat = status === "waiting" && reason !== undefined ? ` for ${REASON[reason] ?? reason}` : "";
  return (
    <Badge tone={tone}>
      {label}
      {forWhat}
    </Badge>
  );
}
