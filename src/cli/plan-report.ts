import { rfc3339 } from "../core/clock.ts";
import { humanDuration } from "../core/duration.ts";
import { histogram } from "../limits/planner/histogram.ts";
import type { LimitWait, Plan, PlannedOrder } from "../limits/planner/plan.ts";
import { counted, minute, thousands } from "../limits/planner/words.ts";
import type { PlanRows } from "../runtime/plan-document.ts";
import { plain } from "./output.ts";

const BAR = 40;
const WAITS_SHOWN = 10;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Milliseconds; sooner than that is at once. */
const AT_ONCE = 60_000;

/** The plan for a person, line by line. `now`: milliseconds since the epoch, as the planner was given it. */
export function planLines(plan: Plan, { now, rows }: { now: number; rows?: PlanRows }): string[] {
  const lines = [[...(rows ? [rowsLine(rows)] : []), `${counted(plan.orders, "order")}.`].join(" ")];
  if (plan.orders === 0) return [...lines, "There is nothing to order."];
  lines.push(whenLine(plan, now), ...caLines(plan));
  if ((plan.lastAt ?? now) - now >= AT_ONCE) lines.push("", ...bars(plan.certificates));
  if (plan.limits.length > 0) lines.push("", ...waitLines(plan));
  if (plan.advice.length > 0)
    lines.push("", "What would help", ...plan.advice.map(({ text }) => `  ${plain(text)}`));
  return lines;
}

function rowsLine({ rows, accepted, unchanged, rejected }: PlanRows): string {
  const parts = [
    `${thousands(accepted)} new`,
    ...(unchanged > 0 ? [`${thousands(unchanged)} unchanged`] : []),
    ...(rejected > 0 ? [`${thousands(rejected)} rejected`] : []),
  ];
  return `${counted(rows, "row")}: ${parts.join(", ")}.`;
}

function whenLine({ firstAt = 0, halfAt = 0, lastAt = 0 }: Plan, now: number): string {
  if (lastAt - now < AT_ONCE) return "All at once: no limit is in the way.";
  const first = firstAt - now < AT_ONCE ? "First at once" : `First at ${minute(firstAt)}`;
  return `${first}, half by ${minute(halfAt)}, last by ${minute(lastAt)} UTC (in ${humanDuration(lastAt - now)}).`;
}

function caLines({ certificates }: Plan): string[] {
  const counts = new Map<string, number>();
  for (const { ca } of certificates) counts.set(ca, (counts.get(ca) ?? 0) + 1);
  if (counts.size < 2) return [];
  return [`${[...counts].map(([ca, count]) => `${plain(ca)} ${thousands(count)}`).join(", ")}.`];
}

function bars(certificates: readonly PlannedOrder[]): string[] {
  const { step, bars } = histogram(certificates.map(({ at }) => at));
  const most = Math.max(...bars.map(({ count }) => count));
  const counts = bars.map(({ count }) => thousands(count));
  const width = Math.max(...counts.map((count) => count.length));
  const years = new Set(bars.map(({ from }) => new Date(from).getUTCFullYear())).size > 1;
  const rows = bars.map(({ from, count }, index) => {
    // Whoever is there shows, be it one among thousands.
    const length = count === 0 ? 0 : Math.max(1, Math.round((count / most) * BAR));
    const bar = "█".repeat(length).padEnd(BAR);
    return `  ${barLabel(from, step < DAY, years)}  ${bar}  ${(counts[index] ?? "").padStart(width)}`;
  });
  return [`Orders ${stepWords(step)}, UTC`, ...rows];
}

function stepWords(step: number): string {
  const [unit, name] = step < DAY ? [HOUR, "hour"] : [DAY, "day"];
  return step === unit ? `by ${name}` : `by ${counted(step / unit, name)}, each from`;
}

/** "Wed 25 Nov", "Wed 25 Nov 10:00" or "Wed 25 Nov 2026". */
function barLabel(from: number, hours: boolean, years: boolean): string {
  const [weekday = "", day = "", month = "", year = "", time = ""] = new Date(from)
    .toUTCString()
    .replace(",", "")
    .split(" ");
  return [weekday, day, month, ...(years ? [year] : []), ...(hours ? [time.slice(0, 5)] : [])].join(" ");
}

function waitLines({ limits }: Plan): string[] {
  const shown = limits.slice(0, WAITS_SHOWN);
  const rows = [
    ["Held by", "waiting", "until"],
    ...shown.map((wait) => [plain(waitWords(wait)), thousands(wait.waits), rfc3339(wait.until)]),
  ];
  const [what, count] = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map(
    ([name = "", waits = "", until = ""]) =>
      `${name.padEnd(what ?? 0)}  ${waits.padStart(count ?? 0)}  ${until}`,
  );
  const rest = limits.length - shown.length;
  return rest > 0 ? [...lines, `… and ${counted(rest, "more limit", "more limits")}`] : lines;
}

function waitWords({ limit, key }: LimitWait): string {
  switch (limit) {
    case "newOrders":
      return `new orders of ${key}`;
    case "certificatesPerDomain":
      return `certificates per domain ${key}`;
    case "certificatesPerNameSet":
      return `certificates of the same names ${key}`;
  }
}
