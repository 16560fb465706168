import { describe, expect, it } from "vitest";
import { planLines } from "../../../src/cli/plan-report.ts";
import type { Plan, PlannedOrder } from "../../../src/limits/planner/plan.ts";
import { planDocument } from "../../../src/runtime/plan-document.ts";

const NOW = Date.UTC(2026, 10, 25, 9, 0);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function planOf(certificates: PlannedOrder[], more: Partial<Plan> = {}): Plan {
  const [first, last] = [certificates[0], certificates.at(-1)];
  return {
    orders: certificates.length,
    ...(first && last
      ? { firstAt: first.at, halfAt: first.at, lastAt: last.at, finishesAt: last.at + 20_000 }
      : {}),
    limits: [],
    certificates,
    advice: [],
    ...more,
  };
}

function at(times: readonly number[], ca = "letsencrypt"): PlannedOrder[] {
  return times.map((time, i) => ({ name: `n${i}.example`, ca, at: time }));
}

async function text(plan: Plan, options?: Parameters<typeof planDocument>[1]): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of planDocument(plan, options)) pieces.push(piece);
  return pieces;
}

describe("a plan for a person", () => {
  it("says when, what holds whom, and what would help", () => {
    const plan = planOf(at([NOW, NOW, NOW, NOW + 2 * DAY + HOUR, NOW + 2 * DAY + HOUR]), {
      limits: [
        { limit: "newOrders", key: "letsencrypt", ca: "letsencrypt", waits: 1_200, until: NOW + DAY },
        {
          limit: "certificatesPerDomain",
          key: "example.com",
          ca: "letsencrypt",
          waits: 2,
          until: NOW + 2 * DAY,
        },
        { limit: "certificatesPerNameSet", key: "a.example", ca: "letsencrypt", waits: 1, until: NOW + HOUR },
      ],
      advice: [
        {
          kind: "join",
          limit: "newOrders",
          key: "letsencrypt",
          names: 1,
          orders: 1,
          finishesAt: NOW,
          text: "Do it.",
        },
      ],
    });
    const rows = { rows: 4_000, accepted: 5, unchanged: 3_985, rejected: 10 };
    expect(planLines(plan, { now: NOW, rows })).toEqual([
      "4,000 rows: 5 new, 3,985 unchanged, 10 rejected. 5 orders.",
      "First at once, half by 2026-11-25 09:00, last by 2026-11-27 10:00 UTC (in 2 d 1 h).",
      "",
      "Orders by day, UTC",
      `  Wed 25 Nov  ${"█".repeat(40)}  3`,
      `  Thu 26 Nov  ${" ".repeat(40)}  0`,
      `  Fri 27 Nov  ${"█".repeat(27)}${" ".repeat(13)}  2`,
      "",
      "Held by                                   waiting  until",
      "new orders of letsencrypt                   1,200  2026-11-26T09:00:00Z",
      "certificates per domain example.com             2  2026-11-27T09:00:00Z",
      "certificates of the same names a.example        1  2026-11-25T10:00:00Z",
      "",
      "What would help",
      "  Do it.",
    ]);
  });

  it("needs two lines where nothing is in the way", () => {
    expect(planLines(planOf(at([NOW, NOW + 50])), { now: NOW })).toEqual([
      "2 orders.",
      "All at once: no limit is in the way.",
    ]);
  });

  it("says that there is nothing to do", () => {
    expect(planLines(planOf([]), { now: NOW })).toEqual(["0 orders.", "There is nothing to order."]);
  });

  it("says which CA gets how many where there are several", () => {
    const plan = planOf([...at([NOW, NOW]), ...at([NOW + HOUR], "zerossl")]);
    expect(planLines(plan, { now: NOW })).toContain("letsencrypt 2, zerossl 1.");
  });

  it("names the hours of a short plan, and the years of a long one", () => {
    const short = planLines(planOf(at([NOW, NOW + 30 * HOUR])), { now: NOW });
    expect(short).toContain("Orders by 2 hours, each from, UTC");
    expect(short.some((line) => line.startsWith("  Wed 25 Nov 08:00  █"))).toBe(true);
    const long = planLines(planOf(at([NOW, NOW + 400 * DAY])), { now: NOW });
    expect(long).toContain("Orders by 28 days, each from, UTC");
    expect(long.some((line) => line.startsWith("  Wed 25 Nov 2026  █"))).toBe(true);
  });

  it("shows ten limits and counts the others", () => {
    const limits = Array.from({ length: 12 }, (_, i) => ({
      limit: "certificatesPerDomain" as const,
      key: `d${i}.example`,
      ca: "letsencrypt",
      waits: 1,
      until: NOW + DAY,
    }));
    const lines = planLines(planOf(at([NOW + DAY]), { limits }), { now: NOW });
    expect(lines.filter((line) => line.startsWith("certificates per domain"))).toHaveLength(10);
    expect(lines.at(-1)).toBe("… and 2 more limits");
    expect(lines[1]).toContain("First at 2026-11-26 09:00");
  });
});

describe("a plan as a document", () => {
  it("keeps to the contract", async () => {
    const held = {
      name: "b.example",
      ca: "letsencrypt",
      at: NOW + 1_500,
      limit: "newOrders",
      key: "letsencrypt",
    } as const;
    const plan = planOf([...at([NOW]), held], {
      limits: [{ limit: "newOrders", key: "letsencrypt", ca: "letsencrypt", waits: 1, until: NOW + 1_500 }],
    });
    const rows = { rows: 3, accepted: 2, unchanged: 1, rejected: 0 };
    expect(JSON.parse((await text(plan, { rows })).join(""))).toEqual({
      ...rows,
      orders: 2,
      firstAt: "2026-11-25T09:00:00Z",
      halfAt: "2026-11-25T09:00:00Z",
      lastAt: "2026-11-25T09:00:01Z",
      finishesAt: "2026-11-25T09:00:21Z",
      limits: [
        {
          limit: "newOrders",
          key: "letsencrypt",
          ca: "letsencrypt",
          waits: 1,
          until: "2026-11-25T09:00:01Z",
        },
      ],
      advice: [],
      certificates: [
        { name: "n0.example", ca: "letsencrypt", at: "2026-11-25T09:00:00Z" },
        { ...held, at: "2026-11-25T09:00:01Z" },
      ],
    });
  });

  it("comes in pieces, however long it is", async () => {
    const pieces = await text(planOf(at(Array.from({ length: 1_234 }, () => NOW))));
    expect(pieces).toHaveLength(5);
    expect(JSON.parse(pieces.join("")).certificates).toHaveLength(1_234);
    expect(pieces.at(-1)).toBe("]}\n");
  });

  it("of nothing is a document, too", async () => {
    expect(JSON.parse((await text(planOf([]))).join(""))).toMatchObject({
      orders: 0,
      finishesAt: null,
      limits: [],
      certificates: [],
    });
  });
});
