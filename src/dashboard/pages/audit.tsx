import { Link } from "wouter-preact";
import type { AuditList } from "../../api/schemas/audit.ts";
import { useData } from "../data/use-data.ts";
import { useOlder } from "../data/use-older.ts";
import { Empty, Loading, OlderButton, ProblemNotice, Time } from "../ui/parts.tsx";
import { Table } from "../ui/table.tsx";

const PATH = "/v1/audit?limit=100";

export function AuditPage() {
  const { data, problem } = useData<AuditList>(PATH);
  const older = useOlder(PATH, data);
  return (
    <>
      <h1>Who asked for what</h1>
      <ProblemNotice problem={problem ?? older.problem} />
      {data ? (
        <Entries entries={[data, ...older.pages].flatMap(({ entries }) => entries)} />
      ) : (
        !problem && <Loading what="The log" />
      )}
      <OlderButton goOn={older.goOn} />
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
