import { count, dateTime, number, relative } from "../format.ts";
import { LIMIT } from "../ui/budget.tsx";
import { Chart } from "../ui/chart.tsx";
import { Card, Time } from "../ui/parts.tsx";
import type { Checked } from "./draft.ts";

/** Limits shown; the others hold fewer certificates. */
const SHOWN = 10;

export function PlanCard({ checked: { plan, curve } }: { checked: Checked }) {
  const { orders, firstAt, halfAt, lastAt, finishesAt, limits, advice } = plan;
  if (orders === 0)
    return (
      <Card title="The plan">
        <p>Nothing has to be ordered: what is there already is brought to where it is to be served.</p>
      </Card>
    );
  return (
    <Card title="The plan">
      <dl class="facts">
        <When label="The first is ordered" at={firstAt} />
        {orders > 1 && <When label="Half are ordered" at={halfAt} />}
        {orders > 1 && <When label="The last is ordered" at={lastAt} />}
        <When label="All should be done" at={finishesAt} />
      </dl>
      <Chart
        kind="line"
        x={curve.x}
        y={curve.y}
        unit="ordered"
        nameOf={dateTime}
        summary={summaryOf(orders, finishesAt)}
      />
      {limits.length === 0 ? (
        <p class="soft">No limit of the CA makes any of them wait.</p>
      ) : (
        <>
          <h3>What makes them wait</h3>
          <ul class="plain stack">
            {limits.slice(0, SHOWN).map(({ limit, key, waits, until }) => (
              <li key={`${limit} ${key}`}>
                {LIMIT[limit] ?? limit} <span class="soft">{key}</span>:{" "}
                {count(waits, "certificate waits", "certificates wait")}, the last one until{" "}
                <Time at={until} absolute />
              </li>
            ))}
          </ul>
          {limits.length > SHOWN && <p class="soft">And {number(limits.length - SHOWN)} limits more.</p>}
        </>
      )}
      {advice.length > 0 && (
        <>
          <h3>What would help</h3>
          <ul class="stack advice">
            {advice.map(({ text }) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </>
      )}
    </Card>
  );
}

function When({ label, at }: { label: string; at: string | null }) {
  if (at === null) return null;
  return (
    <>
      <dt>{label}</dt>
      <dd>
        {relative(at)} <span class="soft">({dateTime(at)})</span>
      </dd>
    </>
  );
}

function summaryOf(orders: number, finishesAt: string | null): string {
  const end = finishesAt === null ? "" : `; all should be done ${relative(finishesAt)}`;
  return `${count(orders, "certificate")} ordered over time${end}.`;
}
