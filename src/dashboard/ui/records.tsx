import type { DnsRecordShown } from "../../api/schemas/certificates.ts";
import { TableFrame } from "./parts.tsx";

/** What the owner of a domain has to set in DNS. */
export function RecordsTable({ records }: { records: readonly DnsRecordShown[] }) {
  return (
    <TableFrame label="Records to set in DNS">
      <table class="small">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Type</th>
            <th scope="col">Set to</th>
            <th scope="col">Today</th>
            <th scope="col">Why</th>
          </tr>
        </thead>
        <tbody>
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
        </tbody>
      </table>
    </TableFrame>
  );
}
