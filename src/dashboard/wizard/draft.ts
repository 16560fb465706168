/** What a person has entered, and what was found out about it. Kept beside the page: to leave it loses nothing. */
import type { ImportForecast } from "../../api/schemas/imports.ts";
import type { TriageReport } from "../../api/schemas/triage.ts";
import type { Edits } from "./mend.ts";
import type { Curve } from "./plan.ts";
import type { Survey } from "./survey.ts";

export const STEPS = ["file", "rows", "names", "confirm"] as const;
export type Step = (typeof STEPS)[number];
export const STEP_NAMES: Readonly<Record<Step, string>> = {
  file: "File",
  rows: "Rows",
  names: "Names and plan",
  confirm: "Confirm",
};

export type Notify = "" | "each" | "digest" | "off";

/** A dry run without what may be long. */
export interface Checked {
  rows: number;
  accepted: number;
  duplicates: number;
  unchanged: number;
  retried: number;
  updated: number;
  /** Rows, not faults. */
  rejected: number;
  warnings: readonly string[];
  plan: Omit<ImportForecast["plan"], "certificates">;
  curve: Curve;
  byCa: ReadonlyMap<string, number>;
  survey: Survey;
  /** Those that the file had in it then. */
  edits: Edits;
}

export interface Draft {
  how: "file" | "text";
  file: File | undefined;
  text: string;
  source: string;
  notify: Notify;
  edits: Edits;
  checked: Checked | undefined;
  triage: TriageReport | undefined;
}

export const NEW_DRAFT: Draft = {
  how: "file",
  file: undefined,
  text: "",
  source: "",
  notify: "",
  edits: new Map(),
  checked: undefined,
  triage: undefined,
};

/** What is to be imported; undefined while nothing is entered. */
export function contentOf({ how, file, text }: Draft): Blob | undefined {
  if (how === "file") return file;
  return text.trim() === "" ? undefined : new Blob([text], { type: "text/csv" });
}

export function sourceOf({ how, file, source }: Draft): string {
  return source.trim() || (how === "file" ? (file?.name ?? "") : "pasted");
}

/** Another content: what was found out about the one before is of no use. */
export function withContent(draft: Draft, change: Partial<Pick<Draft, "how" | "file" | "text">>): Draft {
  return { ...draft, ...change, edits: new Map(), checked: undefined, triage: undefined };
}

/** Whether rows were changed after they were checked. */
export function isStale({ checked, edits }: Draft): boolean {
  return checked === undefined || checked.edits !== edits;
}

/** Certificates that an import would order, deploy, or change. */
export function toDo({ accepted, updated }: Pick<Checked, "accepted" | "updated">): number {
  return accepted + updated;
}

/** Whether a step can be gone to with what is known. */
export function isOpen(step: Step, draft: Draft): boolean {
  switch (step) {
    case "file":
      return true;
    case "rows":
      return draft.checked !== undefined;
    default:
      return draft.checked !== undefined && !isStale(draft) && toDo(draft.checked) > 0;
  }
}
