/** The days of the chart of ends join up, and begin now. */
import { expect, it } from "vitest";
import { daysFrom } from "../../../../src/api/overview/counts.ts";
import { OBTAINED_SLOT, paceOf } from "../../../../src/store/pace.ts";

it("each day begins where the one before ends; the first one now", () => {
  const now = Date.UTC(2026, 1, 27, 15, 30);
  const days = daysFrom(now);
  expect(days).toHaveLength(90);
  expect(days.slice(0, 3).map(({ day }) => day)).toEqual(["2026-02-27", "2026-02-28", "2026-03-01"]);
  expect(days[0]).toMatchObject({ from: now, to: Date.UTC(2026, 1, 28) - 1 });
  for (const [index, { from }] of days.entries()) if (index > 0) expect(from).toBe(days[index - 1]?.to);
});

it("the pace is what was obtained within the last hour and day", () => {
  const now = 1_000 * 86_400_000 + 7 * OBTAINED_SLOT + 1;
  const slot = (before: number): string => String(Math.floor(now / OBTAINED_SLOT) - before);
  const counts = { [slot(0)]: "1", [slot(11)]: "2", [slot(12)]: "4", [slot(287)]: "8", [slot(288)]: "16" };
  expect(paceOf(counts, now)).toEqual({ hour: 3, day: 15 });
  expect(paceOf({}, now)).toEqual({ hour: 0, day: 0 });
});
