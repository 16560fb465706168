import { useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import type { Problem } from "../data/ask.ts";
import { asProblem } from "../data/ask.ts";
import { useSession } from "../data/session.tsx";
import { Card, ProblemNotice } from "../ui/parts.tsx";
import { importLabel, sentences } from "./sentences.ts";
import { type StepProps, takeIn } from "./use-draft.ts";

/** What will happen, in words; then it does. */
export function ConfirmStep({ draft, goTo, onDone }: StepProps & { onDone: () => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const [, navigate] = useLocation();
  const session = useSession();
  const { checked } = draft;
  if (!checked) return null;
  const go = async (): Promise<void> => {
    if (busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      const id = await takeIn(draft);
      onDone();
      navigate(`/imports/${encodeURIComponent(id)}`);
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void go();
      }}
    >
      <Card title="What will happen">
        <ul class="stack advice">
          {sentences(draft, checked, session?.ca[0] ?? "the CA").map((sentence) => (
            <li key={sentence}>{sentence}</li>
          ))}
        </ul>
      </Card>
      <ProblemNotice problem={problem} />
      {problem && <p>It may be tried again without harm: what was taken in already is not ordered twice.</p>}
      <div class="row">
        <button type="button" class="button" onClick={() => goTo("names")}>
          Back
        </button>
        <button type="submit" class="button primary" aria-disabled={busy}>
          {busy ? "Importing…" : importLabel(checked)}
        </button>
        <span class="small soft" role="status">
          {busy ? "The rows are being taken in: leave this page open until it goes on by itself." : ""}
        </span>
      </div>
    </form>
  );
}
