import { useMemo, useState } from "preact/hooks";
import type { TriageReport } from "../../api/schemas/triage.ts";
import { count, number } from "../format.ts";
import { Table } from "../ui/table.tsx";
import { save } from "./save.ts";
import { byCustomer, type CustomerGroup, customersCsv } from "./triage.ts";

/** Customers, and certificates of one, shown until more are asked for. */
const SHOWN = 10;
const MOST_OF_ONE = 50;

/** Who has to set which records. */
export function Customers({ waiting }: { waiting: TriageReport["waiting"] }) {
  const [shown, setShown] = useState(SHOWN);
  const groups = useMemo(() => byCustomer(waiting), [waiting]);
  if (groups.length === 0) return null;
  return (
    <>
      <div class="spread">
        <h3>Who has to set what</h3>
        <button type="button" class="button" onClick={() => save("customers.csv", customersCsv(waiting))}>
          Download it for {groups.length === 1 ? "the customer" : `${number(groups.length)} customers`}
        </button>
      </div>
      {groups.slice(0, shown).map((group) => (
        <Customer key={group.whom} group={group} />
      ))}
      {groups.length > shown && (
        <div>
          <button type="button" class="button" onClick={() => setShown(shown * 4)}>
            Show more ({number(groups.length - shown)})
          </button>
        </div>
      )}
    </>
  );
}

function Customer({ group: { whom, certificates } }: { group: CustomerGroup }) {
  const listed = certificates.slice(0, MOST_OF_ONE);
  return (
    <details class="customer" open={certificates.length <= 5}>
      <summary>
        <strong>{whom}</strong> <span class="soft">{count(certificates.length, "certificate")}</span>
      </summary>
      <Table label={`Records that ${whom} has to set`} columns={["Record", "Type", "Set", "Today", "Why"]}>
        {listed.flatMap(({ name, detail, records = [] }) =>
          records.length === 0
            ? [
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td colSpan={4}>{detail}</td>
                </tr>,
              ]
            : records.map((record) => (
                <tr key={`${name} ${record.name} ${record.type} ${record.set} ${record.today}`}>
                  <th scope="row" class="mono">
                    {record.name}
                  </th>
                  <td>{record.type}</td>
                  <td class="mono">{record.set ?? <em>remove it</em>}</td>
                  <td class="mono">{record.today}</td>
                  <td>{record.why}</td>
                </tr>
              )),
        )}
      </Table>
      {certificates.length > MOST_OF_ONE && (
        <p class="soft">
          And {number(certificates.length - MOST_OF_ONE)} more, all of which the download has.
        </p>
      )}
    </details>
  );
}
