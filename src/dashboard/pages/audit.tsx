import { useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { AuditList } from "../../api/schemas/audit.ts";
import { ask, Problem } from "../data/ask.ts";
import { useData } from "../data/use-data.ts";
import { Empty, Loading, ProblemNotice, Time } from "../ui/parts.tsx";
import { Table } from "../ui/table.tsx";

export function AuditPage() {
  const { data, problem } = useData<AuditList>("/v1/audit?limit=100");
  const [more, setMore] = useState<AuditList>({ entries: [] });
  const [failed, setFailed] = useState<Problem>();
  const next = more.entries.length > 0 ? more.next : data?.next;
  const goOn = async (): Promise<void> => {
    try {
      const page = await ask<AuditList>(`/v1/audit?limit=100&cursor=${encodeURIComponent(next ?? "")}`);
      setMore(({ entries }) => ({ ...page, entries: [...entries, ...page.entries] }));
      setFailed(undefined);
    } catch (error) {
      setFailed(error instanceof Problem ? error : undefined);
    }
  };
  return (
    <>
      <h1>Who asked for what</h1>
      <ProblemNotice problem={problem ?? failed} />
      {data ? (
        <Entries entries={[...data.entries, ...more.entries]} />
      ) : (
        !problem && <Loading what="The log" />
      )}
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

function Entries({ entries }: { entries: AuditList["entries"] }) {
  if (entries.length === 0) return <Empty title="Nobody has asked for anything yet." />;
  return (
    <Table label="Who asked for what, newest first" columns={["When", "Who", "What", "Certificate"]}>
      {entries.map(({ at, by, action, certificate, detail }, index) => (
        <tr key={index}>
          <td>
            <Time at={at} absolute />
          </td>
          <td>{by}</td>
          <td>
            {action} {detail && <span class="soft">{detail}</span>}
          </td>
          <td>
            {certificate && (
              <Link href={`/certificates/${encodeURIComponent(certificate)}`}>{certificate}</Link>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}
