import { useEffect, useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { ImportProgress, ImportState } from "../../api/schemas/imports.ts";
import { useMayDo } from "../data/session.tsx";
import { useData } from "../data/use-data.ts";
import { count, number, relative } from "../format.ts";
import { type Count, Counts } from "../ui/counts.tsx";
import { Card, Loading, Meter, ProblemNotice, Time } from "../ui/parts.tsx";
import { Badge, REASON, STATUS, STATUS_LIST, StatusBadge } from "../ui/status.tsx";
import { Table } from "../ui/table.tsx";
import { isToBeSaid, type Standing, standingOf, standingWords } from "../wizard/progress.ts";
import "../styles/wizard.css";

/** Milliseconds between two looks while something is open, and later, when what waits may still move. */
const SOON = 2_000;
const LATER = 15_000;
/** The document with every certificate is asked for only up to so many. */
const FEW = 500;

export function ImportPage({ params }: { params: Record<string, string | undefined> }) {
  const id = decodeURIComponent(params.id ?? "");
  const path = `/v1/imports/${encodeURIComponent(id)}`;
  const latest = useRef<ImportProgress>();
  const { data, problem } = useData<ImportProgress>(`${path}/progress`, {
    every: latest.current !== undefined && isResting(latest.current) ? LATER : SOON,
    on: () => latest.current === undefined || !isOver(latest.current),
  });
  latest.current = data;
  return (
    <>
      <div class="head">
        <h1>{data ? data.source || id : "Import"}</h1>
        {data && (
          <span class="soft">
            Imported <Time at={data.at} absolute />
          </span>
        )}
      </div>
      <ProblemNotice problem={problem} />
      {data ? <Shown progress={data} path={path} /> : !problem && <Loading what="The import" />}
    </>
  );
}

/** The statuses may be a little older than `ended`: as long as one is seen moving, the next look comes soon. */
function isResting(progress: ImportProgress): boolean {
  return progress.ended && standingOf(progress).inHand === 0;
}

/** Nothing of it waits for anything. */
function isOver(progress: ImportProgress): boolean {
  const { total, done } = standingOf(progress);
  return progress.ended && done === total;
}

function Shown({ progress, path }: { progress: ImportProgress; path: string }) {
  const standing = standingOf(progress);
  return (
    <>
      <ProgressCard progress={progress} standing={standing} />
      <Said words={standingWords(standing)} isLast={progress.ended} />
      <Counts counts={countsOf(progress)} />
      <Downloads progress={progress} path={path} />
      {standing.total <= FEW && standing.waiting + standing.attention > 0 && (
        <Held path={path} version={`${standing.waiting} ${standing.attention}`} />
      )}
      {standing.total > FEW && (
        <p class="soft">
          Its {number(standing.total)} certificates are in the report, one a line, and{" "}
          <Link href={listOf(progress.import)}>in the list</Link>.
        </p>
      )}
    </>
  );
}

function ProgressCard({ progress, standing }: { progress: ImportProgress; standing: Standing }) {
  const { statuses, waiting, finishesAt, ended, read } = progress;
  const { total, done, inHand, attention } = standing;
  const reasons = Object.entries(waiting).filter(([, n]) => n > 0);
  return (
    <Card title={ended ? "At rest" : "Under way"}>
      <Meter label="Certificates done" value={done} max={Math.max(1, total)} tone={ended ? "good" : "busy"}>
        <div class="spread">
          <strong class="number">
            {number(done)} of {count(total, "certificate")} done
          </strong>
          <span class="soft">{outlook({ ended, read, finishesAt, standing })}</span>
        </div>
      </Meter>
      <p>
        {number(inHand)} in hand
        {reasons.map(([reason, n]) => (
          <>
            , {number(n)} {n === 1 ? "waits" : "wait"} for {REASON[reason] ?? reason}
          </>
        ))}
        {attention > 0 && (
          <>
            ,{" "}
            <strong class="bad-ink">
              {number(attention)} {attention === 1 ? "needs" : "need"} attention
            </strong>
          </>
        )}
        .
      </p>
      <ul class="plain row share-names" aria-label="By status">
        {STATUS_LIST.filter((status) => (statuses[status] ?? 0) > 0).map((status) => (
          <li key={status}>
            <Link href={listOf(progress.import, status)}>
              <Badge tone={STATUS[status].tone}>
                {`${STATUS[status].label} ${number(statuses[status] ?? 0)}`}
              </Badge>
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** The address of the list of its certificates. */
function listOf(id: string, status?: string): string {
  const query = new URLSearchParams({ import: id, ...(status === undefined ? {} : { status }) });
  return `/certificates?${query}`;
}

function outlook({
  ended,
  read,
  finishesAt,
  standing: { total, done },
}: Pick<ImportProgress, "ended" | "read" | "finishesAt"> & { standing: Standing }): string {
  if (!read) return "The file is being read.";
  if (total > 0 && done === total) return "All done.";
  if (finishesAt !== null) return `All done ${relative(finishesAt)}`;
  return ended ? "Nothing moves until somebody acts, or a wait ends." : "";
}

/** Read out at a calm pace, and never in the middle of things. */
function Said({ words, isLast }: { words: string; isLast: boolean }) {
  const said = useRef<{ words: string; at: number }>();
  const [shown, setShown] = useState("");
  useEffect(() => {
    const now = Date.now();
    if (!isToBeSaid(said.current, words, { now, isLast })) return;
    said.current = { words, at: now };
    setShown(words);
  }, [words, isLast]);
  return (
    <p class="hidden-but-read" role="status">
      {shown}
    </p>
  );
}

function countsOf(progress: ImportProgress): Count[] {
  const { rows, accepted, retried, unchanged, updated, duplicates, rejectedRows } = progress;
  return [
    { label: "Rows", value: rows },
    { label: "Accepted", value: accepted, note: retried > 0 ? `${number(retried)} tried again` : undefined },
    {
      label: "Unchanged",
      value: unchanged,
      note: updated > 0 ? `${number(updated)} got new values` : undefined,
    },
    { label: "Duplicates", value: duplicates },
    { label: "Rejected", value: rejectedRows, isBad: true },
  ];
}

function Downloads({ progress, path }: { progress: ImportProgress; path: string }) {
  const mayImport = useMayDo("enqueue");
  const { rejectedRows, waiting } = progress;
  return (
    <Card title="Downloads">
      <div class="downloads">
        <a class="button" href={`${path}/report.csv`} download>
          Report (CSV)
        </a>
        {(waiting.customer ?? 0) > 0 && (
          <a class="button" href={`${path}/customers.csv`} download>
            Records for customers (CSV)
          </a>
        )}
        {rejectedRows > 0 && (
          <>
            <a class="button" href={`${path}/rejected.csv`} download>
              Rejected rows (CSV)
            </a>
            {mayImport && (
              <Link class="button" href={`/imports/new?rejected=${encodeURIComponent(progress.import)}`}>
                Mend them, and import again
              </Link>
            )}
          </>
        )}
      </div>
    </Card>
  );
}

/** Those that wait or need somebody, with why. Asked for again when their number changes. */
function Held({ path, version }: { path: string; version: string }) {
  const { data, problem, refresh } = useData<ImportState>(path);
  const known = useRef(version);
  useEffect(() => {
    if (known.current === version) return;
    known.current = version;
    refresh();
  }, [version, refresh]);
  const held =
    data?.certificates.filter(({ status }) => status === "waiting" || status === "attention") ?? [];
  if (!data) return problem ? <ProblemNotice problem={problem} /> : null;
  if (held.length === 0) return null;
  return (
    <Card title="What does not move by itself, or waits">
      <Table
        label="Certificates that wait, or need attention"
        columns={["Certificate", "Status", "Until", "Why"]}
      >
        {held.map(({ name, status, reason, until, error }) => (
          <tr key={name}>
            <th scope="row">
              <Link href={`/certificates/${encodeURIComponent(name)}`}>{name}</Link>
            </th>
            <td>
              <StatusBadge status={status} reason={reason} />
            </td>
            <td>{until && <Time at={until} />}</td>
            <td>{error?.detail}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}
