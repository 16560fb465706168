import { useEffect, useRef, useState } from "preact/hooks";
import { Link, useLocation, useSearchParams } from "wouter-preact";
import { asProblem, type Problem, send } from "../data/ask.ts";
import { useMayDo } from "../data/session.tsx";
import { Empty, Loading, ProblemNotice } from "../ui/parts.tsx";
import { ConfirmStep } from "../wizard/confirm-step.tsx";
import { type Draft, isOpen, NEW_DRAFT, STEP_NAMES, STEPS, type Step, withContent } from "../wizard/draft.ts";
import { FileStep } from "../wizard/file-step.tsx";
import { NamesStep } from "../wizard/names-step.tsx";
import { RowsStep } from "../wizard/rows-step.tsx";
import { type ChangeDraft, check, type StepProps, useDraft } from "../wizard/use-draft.ts";
import "../styles/wizard.css";

export function WizardPage() {
  if (!useMayDo("enqueue"))
    return (
      <>
        <h1>Import a CSV</h1>
        <Empty title="You may look at everything here, but not import.">
          That needs a token with the scope <code>enqueue</code>.{" "}
          <Link href="/imports">Back to the imports</Link>
        </Empty>
      </>
    );
  return <Wizard />;
}

const path = (step: Step): string => `/imports/new?step=${step}`;

function Wizard() {
  const [draft, change] = useDraft();
  const [search] = useSearchParams();
  const [, navigate] = useLocation();
  const step = nearest(search.get("step") ?? "file", draft);
  const goTo = (to: Step): void => navigate(path(to));
  const mending = search.get("rejected");
  const { problem } = useRejected(mending, change, () => navigate(path("rows"), { replace: true }));
  const heading = useFocusOn(step);
  const props: StepProps = { draft, change, goTo };
  return (
    <>
      <div class="head">
        <h1>Import a CSV</h1>
      </div>
      <StepList step={step} draft={draft} />
      <section class="stack wizard" aria-labelledby="step-heading">
        <h2 id="step-heading" ref={heading} tabIndex={-1}>
          <span class="hidden-but-read">
            Step {STEPS.indexOf(step) + 1} of {STEPS.length}:{" "}
          </span>
          {STEP_NAMES[step]}
        </h2>
        <ProblemNotice problem={problem} />
        {mending !== null && !problem ? (
          <Loading what="The rejected rows" />
        ) : (
          <>
            {step === "file" && <FileStep {...props} />}
            {step === "rows" && <RowsStep {...props} />}
            {step === "names" && <NamesStep {...props} />}
            {step === "confirm" && <ConfirmStep {...props} onDone={() => change(() => NEW_DRAFT)} />}
          </>
        )}
      </section>
    </>
  );
}

/** The step asked for, or the last one before it that there is enough for. */
function nearest(asked: string, draft: Draft): Step {
  const at = (STEPS as readonly string[]).indexOf(asked);
  return STEPS.slice(0, at + 1).findLast((step) => isOpen(step, draft)) ?? "file";
}

function StepList({ step, draft }: { step: Step; draft: Draft }) {
  return (
    <nav aria-label="Steps">
      <ol class="plain steps">
        {STEPS.map((one, index) => (
          <li key={one} aria-current={one === step ? "step" : undefined}>
            <span class="step-number number" aria-hidden="true">
              {index + 1}
            </span>
            {one !== step && isOpen(one, draft) ? (
              <Link href={path(one)}>{STEP_NAMES[one]}</Link>
            ) : (
              <span>{STEP_NAMES[one]}</span>
            )}
          </li>
        ))}
      </ol>
    </nav>
  );
}

/** Whoever goes on by keyboard or by ear begins at the top of the next step. */
function useFocusOn(step: Step) {
  const heading = useRef<HTMLHeadingElement>(null);
  const shown = useRef(step);
  useEffect(() => {
    if (shown.current === step) return;
    shown.current = step;
    heading.current?.focus();
    window.scrollTo(0, 0);
  }, [step]);
  return heading;
}

/** Loads the rejected rows of an import, to be mended. */
function useRejected(
  id: string | null,
  change: ChangeDraft,
  onLoaded: () => void,
): { problem: Problem | undefined } {
  const [problem, setProblem] = useState<Problem>();
  const loaded = useRef(onLoaded);
  loaded.current = onLoaded;
  useEffect(() => {
    if (id === null) return;
    const load = async (): Promise<void> => {
      const response = await send(`/v1/imports/${encodeURIComponent(id)}/rejected.csv`);
      const file = new File([await response.blob()], nameOf(response) ?? `${id}.rejected.csv`);
      const draft = withContent(NEW_DRAFT, { how: "file", file });
      const checked = await check(draft);
      change(() => ({ ...draft, checked }));
      loaded.current();
    };
    load().catch((error: unknown) => setProblem(asProblem(error)));
  }, [id, change]);
  return { problem };
}

function nameOf(response: Response): string | undefined {
  return /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1];
}
