import { useCallback, useEffect, useState } from "preact/hooks";
import type { ImportForecast } from "../../api/schemas/imports.ts";
import { ask, Problem, send } from "../data/ask.ts";
import { type Checked, contentOf, type Draft, NEW_DRAFT, type Step, sourceOf } from "./draft.ts";
import { mendedFile } from "./mend.ts";
import { curveOf, ordersByCa } from "./plan.ts";
import { survey } from "./survey.ts";

/** Stays when the page is left for another one of the dashboard. */
let kept: Draft = NEW_DRAFT;

export type ChangeDraft = (change: (before: Draft) => Draft) => void;

export interface StepProps {
  draft: Draft;
  change: ChangeDraft;
  goTo: (step: Step) => void;
}

export function useDraft(): [Draft, ChangeDraft] {
  const [draft, setDraft] = useState(kept);
  const change = useCallback((make: (before: Draft) => Draft) => {
    kept = make(kept);
    setDraft(kept);
  }, []);
  const isEntered = contentOf(draft) !== undefined;
  useEffect(() => {
    if (!isEntered) return;
    const warn = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [isEntered]);
  return [draft, change];
}

/** The mended file. Throws a Problem where the browser cannot read it any more. */
export async function readyFile(draft: Draft): Promise<Blob> {
  const content = contentOf(draft);
  if (!content) throw new Problem(0, "no_file", "Choose a file, or paste some rows, first.");
  try {
    await content.slice(0, 1).arrayBuffer();
  } catch {
    throw new Problem(
      0,
      "file_changed",
      "The file was changed or moved since it was chosen: choose it anew.",
    );
  }
  return mendedFile(content, draft.edits);
}

/** What an import would do, and what the API says of each row that it would not take. */
export async function check(draft: Draft): Promise<Checked> {
  const { edits } = draft;
  const csv = await readyFile(draft);
  const forecast = await ask<ImportForecast>("/v1/imports?dryRun=true", { csv });
  const { rows, accepted, duplicates, unchanged, retried, updated, warnings = [], rejected, plan } = forecast;
  const { certificates, ...times } = plan;
  return {
    rows,
    accepted,
    duplicates,
    unchanged,
    retried,
    updated,
    rejected: rows - accepted - duplicates - unchanged,
    warnings,
    plan: times,
    curve: curveOf(certificates, Date.now()),
    byCa: ordersByCa(certificates),
    survey: await survey(contentOf(draft) ?? csv, edits, rejected),
    edits,
  };
}

/** Takes it in, and returns the import's id. */
export async function takeIn(draft: Draft): Promise<string> {
  const query = new URLSearchParams({
    source: sourceOf(draft).slice(0, 200),
    ...(draft.notify === "" ? {} : { notify: draft.notify }),
  });
  const response = await send(`/v1/imports?${query}`, { csv: await readyFile(draft) });
  const id = response.headers.get("location")?.split("/").at(-1);
  // All its certificates follow, which the import's own page asks for if need be.
  await response.body?.cancel();
  if (!id) throw new Problem(0, "unknown", "It was taken in; it stands first in the list of imports.");
  return id;
}
