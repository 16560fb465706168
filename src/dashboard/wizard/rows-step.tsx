import { useState } from "preact/hooks";
import type { Problem } from "../data/ask.ts";
import { asProblem } from "../data/ask.ts";
import { count, number } from "../format.ts";
import { type Count, Counts } from "../ui/counts.tsx";
import { Notice, ProblemNotice } from "../ui/parts.tsx";
import { type Checked, isStale, toDo } from "./draft.ts";
import { FaultyRows, LeftOut } from "./faulty-rows.tsx";
import { check, type StepProps } from "./use-draft.ts";

export function RowsStep({ draft, change, goTo }: StepProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const { checked } = draft;
  if (!checked) return null;
  const again = async (): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      const found = await check(draft);
      change((now) => ({ ...now, checked: found, triage: undefined }));
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setBusy(false);
    }
  };
  const stale = isStale(draft);
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (stale) void again();
        else if (toDo(checked) > 0) goTo("names");
      }}
    >
      <Counts counts={countsOf(checked)} />
      {checked.warnings.map((warning) => (
        <Notice key={warning} tone="wait" title={warning} />
      ))}
      <p role="status">{busy ? "The rows are checked again…" : verdict(checked)}</p>
      <FaultyRows draft={draft} checked={checked} change={change} />
      <LeftOut draft={draft} checked={checked} change={change} />
      <ProblemNotice problem={problem} />
      <div class="row">
        <button type="button" class="button" onClick={() => goTo("file")}>
          Back
        </button>
        {stale ? (
          <button type="submit" class="button primary" aria-disabled={busy}>
            {busy ? "Checking…" : "Check again"}
          </button>
        ) : (
          toDo(checked) > 0 && (
            <button type="submit" class="button primary">
              {onwards(checked)}
            </button>
          )
        )}
      </div>
    </form>
  );
}

function onwards({ accepted, updated, rejected }: Checked): string {
  const all = accepted + updated;
  return rejected === 0
    ? `Go on with ${number(all)}`
    : `Go on with ${number(all)}, leave ${number(rejected)} out`;
}

function verdict(checked: Checked): string {
  const { rejected, rows } = checked;
  if (rejected > 0)
    return `${count(rejected, "row has a fault and is", "rows have faults and are")} not taken in as ${rejected === 1 ? "it stands" : "they stand"}. Mend ${rejected === 1 ? "it" : "them"} here, or go on without.`;
  if (toDo(checked) === 0) return "All of this is there already: there is nothing to import.";
  return `All ${count(rows, "row")} can be taken in.`;
}

function countsOf(checked: Checked): Count[] {
  const { rows, accepted, retried, duplicates, unchanged, updated, rejected } = checked;
  return [
    { label: "Rows", value: rows },
    {
      label: "To order",
      value: accepted,
      note: retried > 0 ? `${number(retried)} of them tried again` : undefined,
    },
    {
      label: "Unchanged",
      value: unchanged,
      note: updated > 0 ? `${number(updated)} of them get new values` : undefined,
    },
    { label: "Duplicates", value: duplicates },
    { label: "Faulty", value: rejected, isBad: true },
  ];
}
