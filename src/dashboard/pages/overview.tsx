import { useMemo, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { Overview } from "../../api/schemas/overview.ts";
import { recentEvents, useEvents } from "../data/events.ts";
import { useData } from "../data/use-data.ts";
import { count, date, number, relative } from "../format.ts";
import { BudgetMeter } from "../ui/budget.tsx";
import { Chart } from "../ui/chart.tsx";
import { Card, Empty, Loading, Notice, ProblemNotice, Time } from "../ui/parts.tsx";
import { Badge, isStatus, REASON, STATUS, STATUS_LIST, StatusBadge, type Tone } from "../ui/status.tsx";

/** Milliseconds between two looks when nothing happens. */
const EVERY = 15_000;

export function OverviewPage() {
  const { data, problem } = useData<Overview>("/v1/overview", { every: EVERY, on: () => true });
  return (
    <>
      <div class="head">
        <h1>Overview</h1>
        <Link class="button primary" href="/imports/new">
          Import a CSV
        </Link>
      </div>
      <ProblemNotice problem={problem} />
      {data ? <Shown overview={data} /> : !problem && <Loading what="The overview" />}
    </>
  );
}

function Shown({ overview }: { overview: Overview }) {
  const faulty = overview.nodes.filter(({ fault }) => fault !== undefined);
  if (overview.total === 0)
    return (
      <Card title="No certificates yet">
        <Empty title="A CSV of domains is all it takes.">
          <Link href="/imports/new">Import one</Link>, or send names to <code>POST /v1/certificates</code>.
        </Empty>
      </Card>
    );
  return (
    <>
      {faulty.map(({ node, vipPort, fault }) => (
        <Notice
          key={`${vipPort}/${node}`}
          tone="bad"
          title={`${node} (port ${vipPort}) cannot be deployed to`}
        >
          <p>{fault}</p>
        </Notice>
      ))}
      <Totals overview={overview} />
      <div class="columns">
        <Budgets overview={overview} />
        <Waiting overview={overview} />
      </div>
      <Expiry overview={overview} />
      <Latest />
    </>
  );
}

const IN_HAND = ["checking", "ordering", "validating", "finalizing", "deploying"] as const;

function Totals({ overview }: { overview: Overview }) {
  const { statuses, total, pace, finishesAt } = overview;
  const of = (status: keyof typeof statuses): number => statuses[status] ?? 0;
  const inHand = IN_HAND.reduce((sum, status) => sum + of(status), 0);
  const tiles: [string, number, string, Tone | "", string][] = [
    ["Serving", of("serving") + of("issued"), servingHref(of("serving")), "good", ""],
    ["In hand", inHand + of("queued"), "/certificates?status=queued", "busy", "queued or at the CA"],
    ["Waiting", of("waiting"), "/certificates?status=waiting", "wait", ""],
    ["Need attention", of("attention"), "/certificates?status=attention", of("attention") ? "bad" : "", ""],
  ];
  return (
    <section class="stack" aria-label="How many">
      <ul class="plain tiles">
        {tiles.map(([label, value, href, tone, note]) => (
          <li key={label}>
            <Link href={href} class={`tile ${tone === "" ? "" : `tone-${tone}`}`}>
              <span class="tile-value number">{number(value)}</span>
              <span>{label}</span>
              {note !== "" && <span class="small soft">{note}</span>}
            </Link>
          </li>
        ))}
      </ul>
      <Shares statuses={statuses} total={total} />
      <p class="soft">
        {count(total, "certificate")} in all. {count(pace.hour, "certificate")} issued within the last hour,{" "}
        {number(pace.day)} within a day.{" "}
        {finishesAt === null ? (
          "Nothing is in line."
        ) : (
          <>
            All that is in line should be done <strong>{relative(finishesAt)}</strong> (
            <Time at={finishesAt} absolute />
            ).
          </>
        )}
      </p>
    </section>
  );
}

function servingHref(serving: number): string {
  return `/certificates?status=${serving > 0 ? "serving" : "issued"}`;
}

/** All certificates as one bar, in the order of their way. */
function Shares({ statuses, total }: { statuses: Overview["statuses"]; total: number }) {
  const parts = STATUS_LIST.map((status) => ({ status, n: statuses[status] ?? 0 })).filter(({ n }) => n > 0);
  const words = parts.map(({ status, n }) => `${number(n)} ${STATUS[status].label.toLowerCase()}`).join(", ");
  return (
    <>
      <svg class="shares" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label={words}>
        {parts.map(({ status, n }, index) => {
          const before = parts.slice(0, index).reduce((sum, part) => sum + part.n, 0);
          return (
            <rect
              key={status}
              class={`tone-${STATUS[status].tone}`}
              x={(before / total) * 1_000}
              y="0"
              width={Math.max(2, (n / total) * 1_000 - 1.5)}
              height="10"
            >
              <title>{`${STATUS[status].label}: ${number(n)}`}</title>
            </rect>
          );
        })}
      </svg>
      <ul class="plain row share-names" aria-label="By status">
        {parts.map(({ status, n }) => (
          <li key={status}>
            <Link href={`/certificates?status=${status}`}>
              <Badge tone={STATUS[status].tone}>{`${STATUS[status].label} ${number(n)}`}</Badge>
            </Link>
          </li>
        ))}
      </ul>
    </>
  );
}

function Budgets({ overview: { budgets } }: { overview: Overview }) {
  return (
    <Card title="What the CA allows" aside={<Link href="/limits">All limits</Link>}>
      {budgets.length === 0 ? (
        <Empty title="No limits are known for this CA." />
      ) : (
        <ul class="plain stack">
          {budgets.map((bucket) => (
            <li key={`${bucket.ca} ${bucket.limit} ${bucket.key}`}>
              <BudgetMeter bucket={bucket} ca={bucket.ca} />
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Waiting({ overview: { waiting, renewals, expiry, processes } }: { overview: Overview }) {
  const reasons = Object.entries(waiting).filter(([, n]) => n > 0);
  return (
    <Card title="What is ahead">
      <dl class="facts">
        {reasons.map(([reason, n]) => (
          <>
            <dt>Wait for {REASON[reason] ?? reason}</dt>
            <dd>
              <Link href={`/certificates?status=waiting&reason=${reason}`}>{number(n)}</Link>
            </dd>
          </>
        ))}
        <dt>Renewals due</dt>
        <dd class="number">
          {number(renewals.due)} now, {number(renewals.day)} within a day, {number(renewals.week)} within a
          week
        </dd>
        <dt>End without renewal</dt>
        <dd class="number">
          {number(expiry.within7)} within 7 days, {number(expiry.within30)} within 30
          {expiry.ended > 0 && <strong class="bad-ink">; {number(expiry.ended)} have ended</strong>}
        </dd>
        <dt>Working</dt>
        <dd>{processes.length === 0 ? <strong class="bad-ink">No process</strong> : roles(processes)}</dd>
      </dl>
    </Card>
  );
}

function roles(processes: Overview["processes"]): string {
  return [...new Set(processes.map(({ role, node }) => `${role} on ${node}`))].join(", ");
}

const dayOf = (at: number): string => date(at);

function Expiry({ overview: { expiry } }: { overview: Overview }) {
  const { days } = expiry;
  const x = useMemo(() => days.map(({ day }) => Date.parse(day)), [days]);
  const y = useMemo(() => days.map((entry) => entry.count), [days]);
  const most = days.reduce((best, day) => (day.count > best.count ? day : best), { day: "", count: 0 });
  const all = y.reduce((sum, n) => sum + n, 0);
  const summary =
    all === 0
      ? "None ends within the next 90 days."
      : `${count(all, "certificate ends", "certificates end")} within the next 90 days unless renewed before, most of them on ${date(most.day)} (${number(most.count)}).`;
  return (
    <Card title="Ends over the next 90 days">
      {all === 0 ? (
        <p class="soft">{summary}</p>
      ) : (
        <Chart summary={summary} x={x} y={y} kind="bars" unit="certificates" nameOf={dayOf} />
      )}
    </Card>
  );
}

function Latest() {
  const [events, setEvents] = useState(recentEvents);
  useEvents(() => setEvents(recentEvents()));
  return (
    <Card title="Latest events">
      {events.length === 0 ? (
        <p class="soft">What happens from now on is shown here, as it happens.</p>
      ) : (
        <ol class="plain events">
          {events.map(({ id, at, name, what, detail, status }) => (
            <li key={id}>
              <Time at={at} />
              <Link href={`/certificates/${encodeURIComponent(name)}`}>{name}</Link>
              <span>
                {status !== undefined && isStatus(status) ? <StatusBadge status={status} /> : what}{" "}
                {detail && <span class="soft">{detail}</span>}
              </span>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}
