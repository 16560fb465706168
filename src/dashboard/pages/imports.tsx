import { useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { ImportList, ImportSummary } from "../../api/schemas/imports.ts";
import { ask, type Problem } from "../data/ask.ts";
import { useData } from "../data/use-data.ts";
import { number } from "../format.ts";
import { Card, Empty, Loading, Meter, ProblemNotice, Time } from "../ui/parts.tsx";
import { Badge } from "../ui/status.tsx";
import { Table } from "../ui/table.tsx";
import { asProblem } from "../wizard/problem.ts";
import { settledOf } from "../wizard/progress.ts";
import "../styles/wizard.css";

/** Milliseconds between two looks while some are under way, and while none is. */
const SOON = 3_000;
const LATER = 30_000;

export function ImportsPage() {
  const live = useRef(false);
  const { data, problem } = useData<ImportList>("/v1/imports", {
    every: live.current ? SOON : LATER,
    on: () => live.current,
  });
  const [more, setMore] = useState<ImportList>({ imports: [] });
  const [failed, setFailed] = useState<Problem>();
  const imports = merged(data?.imports ?? [], more.imports);
  live.current = imports.some(({ ended }) => !ended);
  const next = more.imports.length > 0 ? more.next : data?.next;
  const goOn = async (): Promise<void> => {
    try {
      const page = await ask<ImportList>(`/v1/imports?cursor=${encodeURIComponent(next ?? "")}`);
      setMore((before) => ({ ...page, imports: [...before.imports, ...page.imports] }));
      setFailed(undefined);
    } catch (error) {
      setFailed(asProblem(error));
    }
  };
  return (
    <>
      <div class="head">
        <h1>Imports</h1>
        <Link class="button primary" href="/imports/new">
          Import a CSV
        </Link>
      </div>
      <ProblemNotice problem={problem ?? failed} />
      {data ? <Imports imports={imports} /> : !problem && <Loading what="The list of imports" />}
      {next !== undefined && (
        <div>
          <button type="button" class="button" onClick={() => void goOn()}>
            Show older ones
          </button>
        </div>
      )}
    </>
  );
}

/** As new ones come in, the last ones of the first page go over to the next, which is not asked for again. */
function merged(first: readonly ImportSummary[], older: readonly ImportSummary[]): ImportSummary[] {
  const seen = new Set(first.map((one) => one.import));
  return [...first, ...older.filter((one) => !seen.has(one.import))];
}

function Imports({ imports }: { imports: readonly ImportSummary[] }) {
  if (imports.length === 0)
    return (
      <Card title="No imports yet">
        <Empty title="A CSV of domains is all it takes.">
          <Link href="/imports/new">Import one</Link>. It is checked first, and nothing is ordered before you
          say so.
        </Empty>
      </Card>
    );
  return (
    <Table
      label="Imports, newest first"
      columns={[
        "When",
        "File",
        { title: "Rows", isRight: true },
        { title: "Accepted", isRight: true },
        { title: "Rejected", isRight: true },
        "How it stands",
      ]}
    >
      {imports.map((one) => (
        <tr key={one.import}>
          <td>
            <Time at={one.at} absolute />
          </td>
          <th scope="row">
            <Link href={`/imports/${encodeURIComponent(one.import)}`}>{one.source || one.import}</Link>
          </th>
          <td class="right">{number(one.rows)}</td>
          <td class="right">{number(one.accepted)}</td>
          <td class="right">{number(one.rejectedRows)}</td>
          <td class="bar">
            <Standing summary={one} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Standing({ summary }: { summary: ImportSummary }) {
  const { ended, open, source, read } = summary;
  if (ended) return <Badge tone="good">At rest</Badge>;
  const { settled, all } = settledOf(summary);
  return (
    <Meter label={`${source}: certificates at rest`} value={settled} max={Math.max(1, all)}>
      <span class="small number">{read ? `${number(open)} open` : "The file is being read"}</span>
    </Meter>
  );
}
