import { useState } from "preact/hooks";
import { count, number } from "../format.ts";
import { Table } from "../ui/table.tsx";
import { type Columns, isShown } from "./cells.ts";
import type { Checked, Draft } from "./draft.ts";
import { editOf, isMendable, leftOut, takenIn, withCell } from "./mend.ts";
import { type FaultyRow, MOST_FAULTY } from "./survey.ts";
import type { StepProps } from "./use-draft.ts";

/** Rows shown until more are asked for. */
const SHOWN = 25;

interface Part {
  draft: Draft;
  checked: Checked;
  change: StepProps["change"];
}

/** Every row that has a fault, to be mended cell by cell. */
export function FaultyRows({ draft, checked, change }: Part) {
  const [shown, setShown] = useState(SHOWN);
  const { faulty, columns } = checked.survey;
  if (faulty.length === 0) return null;
  const rows = faulty.slice(0, shown);
  const cells = shownCells(rows, columns);
  return (
    <>
      {checked.rejected > MOST_FAULTY && (
        <p>
          Only the first {number(MOST_FAULTY)} of them are listed here. All of them can be downloaded after
          the import, to be mended elsewhere.
        </p>
      )}
      <Table
        label="Rows with faults"
        columns={[
          "Line",
          ...cells.map((index) => titleOf(index, columns)),
          { title: "Leave out", isHidden: true },
        ]}
        class="mending"
      >
        {rows.map((row) => (
          <Row
            key={row.line.number}
            row={row}
            cells={cells}
            columns={columns}
            draft={draft}
            change={change}
          />
        ))}
      </Table>
      {faulty.length > shown && (
        <div>
          <button type="button" class="button" onClick={() => setShown(shown + SHOWN)}>
            Show more ({number(faulty.length - shown)})
          </button>
        </div>
      )}
    </>
  );
}

/** The columns that are known, and what any of these rows has beyond them. */
function shownCells(rows: readonly FaultyRow[], columns: Columns): number[] {
  const most = Math.max(
    columns.titles.length,
    ...rows.map(({ cells, faults }) => Math.max(cells.length, ...[...faults.keys()].map((at) => at + 1))),
  );
  const faulty = new Set(rows.flatMap(({ faults }) => [...faults.keys()]));
  return Array.from({ length: most }, (_, index) => index).filter(
    (index) => faulty.has(index) || isShown(index, columns),
  );
}

function titleOf(index: number, { names, titles }: Columns): string {
  return names[index] ?? titles[index] ?? String(index + 1);
}

interface RowProps {
  row: FaultyRow;
  cells: readonly number[];
  columns: Columns;
  draft: Draft;
  change: StepProps["change"];
}

function Row({ row, cells, columns, draft, change }: RowProps) {
  const { number: line } = row.line;
  const edit = editOf(draft.edits, row);
  const toggle = (): void => change((now) => ({ ...now, edits: leftOut(now.edits, row, !edit.out) }));
  return (
    <tr class={edit.out ? "out" : ""}>
      <th scope="row" class="number">
        {line}
      </th>
      {cells.map((index) => {
        const reasons = row.faults.get(index) ?? [];
        const id = `fault-${line}-${index}`;
        return (
          <td key={index}>
            <input
              class="input mono"
              aria-label={`${titleOf(index, columns)}, line ${line}`}
              aria-invalid={reasons.length > 0 ? "true" : undefined}
              aria-describedby={reasons.length > 0 ? id : undefined}
              readOnly={!isMendable(row)}
              disabled={edit.out}
              spellcheck={false}
              value={edit.cells[index] ?? ""}
              onInput={(event) => {
                const { value } = event.currentTarget;
                change((now) => ({ ...now, edits: withCell(now.edits, row, index, value) }));
              }}
            />
            {reasons.length > 0 && (
              <ul id={id} class="plain small bad-ink reasons">
                {reasons.map((reason) => (
                  <li key={reason}>{reason}</li>
                ))}
              </ul>
            )}
          </td>
        );
      })}
      <td>
        <button
          type="button"
          class="button small"
          aria-pressed={edit.out}
          aria-label={`Leave out line ${line}`}
          onClick={toggle}
        >
          Leave out
        </button>
      </td>
    </tr>
  );
}

/** Those that are not in the table of faults any more. */
export function LeftOut({ draft, checked, change }: Part) {
  const listed = new Set(checked.survey.faulty.map(({ line }) => line.number));
  const out = [...draft.edits.values()].filter((edit) => edit.out && !listed.has(edit.line.number));
  if (out.length === 0) return null;
  return (
    <details>
      <summary>{count(out.length, "row is", "rows are")} left out</summary>
      <ul class="plain stack">
        {out.slice(0, SHOWN).map(({ line, cells }) => (
          <li key={line.number} class="row">
            <span>
              Line {line.number}: <code>{cells.join(",")}</code>
            </span>
            <button
              type="button"
              class="button small"
              aria-label={`Take it in again: line ${line.number}`}
              onClick={() => change((now) => ({ ...now, edits: takenIn(now.edits, line.number) }))}
            >
              Take it in again
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}
