import { number } from "../format.ts";
import { PlanCard } from "./plan-card.tsx";
import { TriageCard } from "./triage-card.tsx";
import type { StepProps } from "./use-draft.ts";

/** When it would all be done, and whether the names lead here: asked before anything is ordered. */
export function NamesStep({ draft, change, goTo }: StepProps) {
  const { checked, triage } = draft;
  if (!checked) return null;
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        goTo("confirm");
      }}
    >
      <PlanCard checked={checked} />
      <TriageCard
        draft={draft}
        onFound={(found) => change((now) => (now.checked === checked ? { ...now, triage: found } : now))}
      />
      <div class="row">
        <button type="button" class="button" onClick={() => goTo("rows")}>
          Back
        </button>
        <button type="submit" class="button primary">
          {triage === undefined
            ? "Go on without checking the names"
            : `Go on with ${number(checked.accepted)}`}
        </button>
      </div>
    </form>
  );
}
