import { useRef } from "preact/hooks";
import { Link } from "wouter-preact";
import type { ImportList, ImportSummary } from "../../api/schemas/imports.ts";
import { useData } from "../data/use-data.ts";
import { useOlder } from "../data/use-older.ts";
import { number } from "../format.ts";
import { Card, Empty, Loading, Meter, OlderButton, ProblemNotice, Time } from "../ui/parts.tsx";
import { Badge } from "../ui/status.tsx";
import { Table } from "../ui/table.tsx";
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
  const older = useOlder("/v1/imports", data);
  const imports = merged(
    data?.imports ?? [],
    older.pages.flatMap((page) => page.imports),
  );
  live.current = imports.some(({ ended }) => !ended);
  return (
    <>
      <div class="head">
        <h1>Imports</h1>
        <Link class="button primary" href="/imports/new">
          Import a CSV
        </Link>
      </div>
      <ProblemNotice problem={problem ?? older.problem} />
      {data ? <Imports imports={imports} /> : !problem && <Loading what="The list of imports" />}
      <OlderButton goOn={older.goOn} />
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
