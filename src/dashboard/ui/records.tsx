import type { DnsRecordShown } from "../../api/schemas/certificates.ts";
import { Table } from "./table.tsx";

/** What the owner of a domain has to set in DNS. */
export function RecordsTable({ records }: { records: readonly DnsRecordShown[] }) {
  return (
    <Table label="Records to set in DNS" columns={["Name", "Type", "Set to", "Today", "Why"]} class="small">
      {records.map(({ name, type, set, today, why }) => (
        <tr key={`${name} ${type} ${set ?? today}`}>
          <th scope="row" class="mono">
            {name}
          </th>
          <td>{type}</td>
          <td class="mono">{set ?? <em>remove it</em>}</td>
          <td class="mono">{today}</td>
          <td>{why}</td>
        </tr>
      ))}
    </Table>
  );
}
