import { useRef, useState } from "preact/hooks";
import type { BulkAnswer } from "../../api/schemas/bulk.ts";
import { asProblem, type Problem } from "../data/ask.ts";
import { actOn, type BulkAction } from "../data/certificates.ts";
import { count, number } from "../format.ts";
import { Dialog } from "../ui/dialog.tsx";
import { ProblemNotice } from "../ui/parts.tsx";
import { ACTIONS } from "./words.ts";

type Results = BulkAnswer["results"];

/** From so many on, what cannot be taken back has to be typed. */
const TYPED_FROM = 10;
/** Names, and refusals, that are listed. */
const LISTED = 5;
const REFUSALS_LISTED = 50;

interface DialogProps {
  action: BulkAction;
  names: readonly string[];
  onClose: (changed: boolean) => void;
}

/** Says what will happen, does it, and says what came of it. */
export function BulkDialog({ action, names, onClose }: DialogProps) {
  const words = ACTIONS[action];
  const [results, setResults] = useState<Results>([]);
  const [state, setState] = useState<"asking" | "doing" | "done">("asking");
  const [problem, setProblem] = useState<Problem>();
  const [typed, setTyped] = useState("");
  const stop = useRef(new AbortController());
  const needsTyping = words.danger === true && names.length >= TYPED_FROM;

  const go = async (): Promise<void> => {
    setState("doing");
    try {
      await actOn(action, names, stop.current.signal, (part) => setResults((before) => [...before, ...part]));
    } catch (error) {
      setProblem(asProblem(error));
    }
    setState("done");
  };
  const close = (): void => {
    stop.current.abort();
    onClose(results.length > 0);
  };

  return (
    <Dialog
      title={state === "asking" ? words.ask(names.length) : words.label}
      onClose={state === "doing" ? () => undefined : close}
      actions={
        state === "asking" ? (
          <>
            <button type="button" class="button" onClick={close}>
              Cancel
            </button>
            <button
              type="button"
              class={`button ${words.danger ? "danger" : "primary"}`}
              disabled={needsTyping && typed.trim().toLowerCase() !== action}
              onClick={() => void go()}
            >
              {words.label} {count(names.length, "certificate")}
            </button>
          </>
        ) : (
          <button
            type="button"
            class="button"
            onClick={state === "doing" ? () => stop.current.abort() : close}
          >
            {state === "doing" ? "Stop" : "Close"}
          </button>
        )
      }
    >
      {state === "asking" ? (
        <>
          {words.happens.map((sentence) => (
            <p key={sentence}>{sentence}</p>
          ))}
          <Names names={names} />
          {needsTyping && (
            <label class="field">
              <span>
                To go on, type <strong>{action}</strong>
              </span>
              <input
                class="input"
                value={typed}
                onInput={({ currentTarget }) => setTyped(currentTarget.value)}
              />
            </label>
          )}
        </>
      ) : (
        <Outcome action={action} total={names.length} results={results} isDone={state === "done"} />
      )}
      <ProblemNotice problem={problem} />
    </Dialog>
  );
}

function Names({ names }: { names: readonly string[] }) {
  return (
    <p class="mono soft">
      {names.slice(0, LISTED).join(", ")}
      {names.length > LISTED && ` and ${number(names.length - LISTED)} more`}
    </p>
  );
}

interface OutcomeProps {
  action: BulkAction;
  total: number;
  results: Results;
  isDone: boolean;
}

function Outcome({ action, total, results, isDone }: OutcomeProps) {
  const words = ACTIONS[action];
  const refused = results.filter(({ ok }) => !ok);
  const done = results.length - refused.length;
  const left = total - results.length;
  return (
    <>
      <progress class="meter-track" value={results.length} max={total} aria-label={words.doing} />
      <p role="status">
        {isDone
          ? `${count(done, "certificate")} ${words.done}.${left > 0 ? ` ${number(left)} were not reached.` : ""}`
          : `${words.doing}: ${number(results.length)} of ${number(total)}…`}
      </p>
      {refused.length > 0 && (
        <>
          <h3>{count(refused.length, "was", "were")} left as they are</h3>
          <ul class="plain refusals small">
            {refused.slice(0, REFUSALS_LISTED).map(({ name, detail, code }) => (
              <li key={name}>
                <strong class="mono">{name}</strong>: {detail ?? code}
              </li>
            ))}
          </ul>
          {refused.length > REFUSALS_LISTED && (
            <p class="soft">and {number(refused.length - REFUSALS_LISTED)} more</p>
          )}
        </>
      )}
    </>
  );
}
