import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../data/ask.ts";
import { asProblem } from "../data/ask.ts";
import { ProblemNotice } from "../ui/parts.tsx";
import { POSITIONAL } from "./cells.ts";
import { contentOf, type Draft, isStale, type Notify, sourceOf, withContent } from "./draft.ts";
import { mendedFile } from "./mend.ts";
import { save } from "./save.ts";
import { check, type StepProps } from "./use-draft.ts";

const EXAMPLE = `${POSITIONAL.join(",")}
www.example.com example.com,443,8888
shop.example.net,443,8888,certs@example.com,owner@example.net,mail.example.com,25
`;

export function FileStep({ draft, change, goTo }: StepProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  useMendedText(draft, change);
  const goOn = async (): Promise<void> => {
    if (busy) return;
    setProblem(undefined);
    if (!isStale(draft)) return goTo("rows");
    setBusy(true);
    try {
      const checked = await check(draft);
      // What was entered while it was looked at has to be looked at, too.
      change((now) => (contentOf(now) === undefined || !isSame(now, draft) ? now : { ...now, checked }));
      goTo("rows");
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void goOn();
      }}
    >
      <Format />
      <fieldset class="plain-set stack">
        <legend class="hidden-but-read">Where the rows come from</legend>
        <div class="row">
          {(["file", "text"] as const).map((how) => (
            <label key={how} class="choice">
              <input
                type="radio"
                name="how"
                checked={draft.how === how}
                onChange={() => change((now) => withContent(now, { how }))}
              />
              {how === "file" ? "A file" : "Pasted text"}
            </label>
          ))}
        </div>
        {draft.how === "file" ? (
          <Chosen draft={draft} change={change} />
        ) : (
          <Pasted draft={draft} change={change} />
        )}
      </fieldset>
      <Settings draft={draft} change={change} />
      <ProblemNotice problem={problem} />
      <div class="row">
        <button type="submit" class="button primary" aria-disabled={busy}>
          {busy ? "Checking the rows…" : "Check the rows"}
        </button>
        <span class="small soft" role="status">
          {busy ? "Every row is looked at. Nothing is ordered." : ""}
        </span>
      </div>
    </form>
  );
}

function isSame(now: Draft, before: Draft): boolean {
  return now.how === before.how && now.file === before.file && now.text === before.text;
}

/** Back at a text whose rows were mended since, it is shown as it is now. */
function useMendedText({ how, text, edits }: Draft, change: StepProps["change"]): void {
  useEffect(() => {
    if (how !== "text" || edits.size === 0) return;
    let here = true;
    void mendedFile(new Blob([text]), edits)
      .text()
      .then((mended) => here && change((now) => withContent(now, { text: mended })));
    return () => {
      here = false;
    };
  }, [how, text, edits, change]);
}

function Format() {
  return (
    <div class="stack">
      <p>
        One certificate a row: its names, separated by spaces, then whatever differs from the defaults.
        Trailing columns may be missing, the header line too.
      </p>
      <pre class="example mono">{EXAMPLE}</pre>
      <div>
        <button
          type="button"
          class="button quiet"
          onClick={() => save("certherd-template.csv", `${POSITIONAL.join(",")}\n`)}
        >
          Download a template
        </button>
      </div>
    </div>
  );
}

type Part = Pick<StepProps, "draft" | "change">;

function Chosen({ draft: { file }, change }: Part) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const take = (files: FileList | null | undefined): void => {
    const [chosen] = files ?? [];
    if (chosen) change((now) => withContent(now, { how: "file", file: chosen }));
  };
  return (
    <label
      class={`drop ${over ? "over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take(event.dataTransfer?.files);
      }}
    >
      <span>{file === undefined ? "Choose a CSV, or drop it here." : "Chosen:"}</span>
      {file !== undefined && (
        <strong>
          {file.name} <span class="soft small">({size(file.size)})</span>
        </strong>
      )}
      <input
        ref={input}
        type="file"
        accept=".csv,.txt,text/csv,text/plain"
        onChange={(event) => take(event.currentTarget.files)}
      />
    </label>
  );
}

function size(bytes: number): string {
  if (bytes < 1_024) return `${bytes} bytes`;
  if (bytes < 1_024 * 1_024) return `${Math.round(bytes / 1_024)} KiB`;
  return `${(bytes / 1_024 / 1_024).toFixed(1)} MiB`;
}

function Pasted({ draft: { text }, change }: Part) {
  return (
    <label class="field">
      <span>Rows</span>
      <textarea
        class="input mono rows-text"
        rows={10}
        spellcheck={false}
        value={text}
        onInput={(event) => {
          const { value } = event.currentTarget;
          change((now) => withContent(now, { text: value }));
        }}
      />
    </label>
  );
}

const NOTIFY: readonly [Notify, string][] = [
  ["", "as configured"],
  ["digest", "one mail when all is settled, and at once for what needs a person"],
  ["each", "one mail for each certificate"],
  ["off", "no mail"],
];

function Settings({ draft, change }: Part) {
  return (
    <div class="settings">
      <label class="field">
        <span>Mail to the addresses in the rows</span>
        <select
          class="input"
          value={draft.notify}
          onChange={(event) => {
            const found = NOTIFY.find(([value]) => value === event.currentTarget.value);
            change((now) => ({ ...now, notify: found?.[0] ?? "" }));
          }}
        >
          {NOTIFY.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>What the import is called</span>
        <input
          class="input"
          maxLength={200}
          value={draft.source}
          placeholder={sourceOf({ ...draft, source: "" }) || "the file's name"}
          onInput={(event) => {
            const { value } = event.currentTarget;
            change((now) => ({ ...now, source: value }));
          }}
        />
      </label>
    </div>
  );
}
