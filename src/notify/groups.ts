import { createHash } from "node:crypto";
import type { MailRoute } from "../core/certificate.ts";

/** Boxes beside those of the imports, which bear the import's id. */
export const BOXES = {
  /** What needs a person. */
  now: "now",
  /** What has changed since the import's digest. */
  later: "later",
  /** What is told about one certificate alone. */
  each: (certificateId: string) => `each-${certificateId}`,
  /** What is told of an account, in words of its own. */
  notice: (id: string) => `notice-${id}`,
} as const;

/** Whether the box is one of those above; else it bears the id of an import. */
export function isImportBox(box: string): boolean {
  return box !== BOXES.now && box !== BOXES.later && !box.startsWith(BOXES.each("")) && !isNoticeBox(box);
}

export function isNoticeBox(box: string): boolean {
  return box.startsWith(BOXES.notice(""));
}

/**
 * One sender, recipient and relay: what has the same group goes into one mail. 16 letters, digits, `-` and `_`, the
 * same for ever, as it is part of keys and job ids.
 */
export function mailGroup(route: MailRoute, defaultFrom?: string): string {
  const parts: unknown[] = [route.from ?? defaultFrom ?? "", route.to, route.relay.toLowerCase(), route.port];
  // One that is looked at before each mail never stands in for one that the operator has named.
  if (route.checked) parts.push("checked");
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 16);
}

/** What the mail of a box is about. */
export function kindOf(box: string): "import" | "now" | "later" | "each" {
  if (isImportBox(box)) return "import";
  if (box === BOXES.now || box === BOXES.later) return box;
  return "each";
}

/** The same for every try of a mail, and for no other mail. */
export function messageId(box: string, group: string, at: number, from: string): string {
  const hash = createHash("sha256").update(`${box} ${group} ${at}`).digest("hex").slice(0, 32);
  const domain = /@([A-Za-z0-9.-]+)>?\s*$/.exec(from)?.[1] ?? "certherd.invalid";
  return `<${hash}@${domain}>`;
}
