import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { TriageReport } from "../../api/schemas/triage.ts";
import { asProblem, type Problem, send } from "../data/ask.ts";
import { count, number } from "../format.ts";
import { Card, Meter, Notice, ProblemNotice } from "../ui/parts.tsx";
import { Customers } from "./customers.tsx";
import type { Draft } from "./draft.ts";
import { readTriage } from "./triage.ts";
import { readyFile } from "./use-draft.ts";

interface Running {
  done: number;
  total: number;
}

/** Whether the names lead here, asked of the DNS and of the way in. Begins by itself, and may be done without. */
export function TriageCard({
  draft,
  onFound,
}: {
  draft: Draft;
  onFound: (report: TriageReport | undefined) => void;
}) {
  const { triage } = draft;
  const [running, setRunning] = useState<Running>();
  const [problem, setProblem] = useState<Problem>();
  const asking = useRef<AbortController>();
  const latest = useRef({ draft, onFound });
  latest.current = { draft, onFound };
  const start = useCallback(async (): Promise<void> => {
    asking.current?.abort();
    const own = new AbortController();
    asking.current = own;
    latest.current.onFound(undefined);
    setProblem(undefined);
    setRunning({ done: 0, total: 0 });
    try {
      const csv = await readyFile(latest.current.draft);
      const response = await send("/v1/triage", { csv, signal: own.signal });
      if (!response.body) throw new Error("The answer is empty.");
      const report = await readTriage(response.body, (progress) => {
        if (!own.signal.aborted) setRunning(progress);
      });
      if (!own.signal.aborted) latest.current.onFound(report);
    } catch (error) {
      if (!own.signal.aborted) setProblem(asProblem(error));
    } finally {
      if (asking.current === own) setRunning(undefined);
    }
  }, []);
  useEffect(() => {
    if (latest.current.draft.triage === undefined) void start();
    return () => asking.current?.abort();
  }, [start]);
  const cancel = (): void => {
    asking.current?.abort();
    setRunning(undefined);
  };
  return (
    <Card title="The names">
      {running && (
        <Meter label="Names checked" value={running.done} max={Math.max(1, running.total)}>
          <div class="spread">
            <span>Whether the names lead here is being looked at. Nothing is ordered.</span>
            <span class="number">
              {running.total > 0 && `${number(running.done)} of ${number(running.total)}`}
            </span>
          </div>
        </Meter>
      )}
      <ProblemNotice problem={problem} />
      <p role="status" class={triage ? "" : "hidden-but-read"}>
        {triage && verdict(triage)}
      </p>
      {triage && <Found report={triage} />}
      <div class="row">
        {running ? (
          <button type="button" class="button" onClick={cancel}>
            Stop checking the names
          </button>
        ) : (
          <button type="button" class="button" onClick={() => void start()}>
            {triage || problem ? "Check the names again" : "Check the names"}
          </button>
        )}
      </div>
    </Card>
  );
}

function verdict({ certificates, ready, customer, node, blocked }: TriageReport): string {
  if (certificates === 0) return "There is no name to check.";
  if (ready === certificates)
    return `All ${count(ready, "certificate")} can be ordered: their names lead here.`;
  return [
    `${number(ready)} of ${count(certificates, "certificate")} can be ordered now.`,
    ...(customer > 0
      ? [
          `${number(customer)} ${customer === 1 ? "waits until its owner has" : "wait until their owners have"} set records.`,
        ]
      : []),
    ...(blocked > 0 ? [`${number(blocked)} ${blocked === 1 ? "needs" : "need"} somebody here to act.`] : []),
    ...(node > 0 ? [`Of ${number(node)} nothing can be told from here.`] : []),
  ].join(" ");
}

function Found({ report }: { report: TriageReport }) {
  const { waiting } = report;
  const of = (kind: "node" | "blocked") => waiting.filter((one) => one.kind === kind);
  return (
    <>
      <Reasons title="What is wrong with this host, or its way out" tone="bad" waiting={of("node")} />
      <Reasons title="What somebody here has to do" tone="wait" waiting={of("blocked")} />
      <Customers waiting={waiting} />
    </>
  );
}

/** What differs by name alone is told once. */
const EXAMPLES = 5;
const MOST_REASONS = 20;

function Reasons({
  title,
  tone,
  waiting,
}: {
  title: string;
  tone: "bad" | "wait";
  waiting: TriageReport["waiting"];
}) {
  if (waiting.length === 0) return null;
  const byDetail = new Map<string, string[]>();
  for (const { detail, name } of waiting) byDetail.set(detail, [...(byDetail.get(detail) ?? []), name]);
  const reasons = [...byDetail];
  return (
    <Notice tone={tone} title={title}>
      <ul class="plain stack">
        {reasons.slice(0, MOST_REASONS).map(([detail, names]) => (
          <li key={detail}>
            {detail}{" "}
            <span class="soft">
              ({names.slice(0, EXAMPLES).join(", ")}
              {names.length > EXAMPLES && ` and ${number(names.length - EXAMPLES)} more`})
            </span>
          </li>
        ))}
        {reasons.length > MOST_REASONS && <li>And {number(reasons.length - MOST_REASONS)} more.</li>}
      </ul>
    </Notice>
  );
}
