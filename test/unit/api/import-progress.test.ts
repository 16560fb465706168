import { expect, it } from "vitest";
import { Progress } from "../../../src/api/import-progress.ts";
import { type ImportRecord, NO_COUNTS } from "../../../src/store/imports.ts";

const record: ImportRecord = {
  id: "i1",
  source: "x.csv",
  at: 0,
  notify: "off",
  read: true,
  ended: false,
  counts: { ...NO_COUNTS, rows: 3 },
  open: 2,
  settled: {},
};

/** An import of three certificates; to look at them takes `takes` milliseconds. */
function watched(takes: number) {
  const state = { now: 0, looks: 0 };
  const progress = new Progress({
    imports: {
      async *certificates() {
        state.looks++;
        state.now += takes;
        yield ["a.example", "b.example"];
        yield ["c.example", "gone.example"];
      },
    },
    certificates: {
      standings: async (ids) =>
        ids.map((id) => {
          if (id === "gone.example") return undefined;
          return id === "c.example" ? { status: "waiting", reason: "customer" } : { status: "queued" };
        }),
    },
    doneBy: async (standings) => {
      const queued = standings.filter(({ status }) => status === "queued");
      return queued.length === 0 ? undefined : queued.some(({ id }) => id === "b.example") ? 120_000 : 60_000;
    },
    now: () => state.now,
  });
  return { state, progress };
}

it("counts by status, and ends when the last one that is under way does", async () => {
  const { progress } = watched(0);
  expect(await progress.of(record)).toMatchObject({
    import: "i1",
    at: "1970-01-01T00:00:00Z",
    rows: 3,
    open: 2,
    statuses: { queued: 2, waiting: 1 },
    waiting: { customer: 1 },
    finishesAt: "1970-01-01T00:02:00Z",
  });
});

it("ten who ask at once cost one look", async () => {
  const { state, progress } = watched(0);
  await Promise.all(Array.from({ length: 10 }, () => progress.of(record)));
  expect(state.looks).toBe(1);
});

it("what took long is kept for longer, and never for more than ten seconds", async () => {
  const { state, progress } = watched(300);
  await progress.of(record);
  state.now += 2_999;
  await progress.of(record);
  expect(state.looks).toBe(1);
  state.now += 1;
  await progress.of(record);
  expect(state.looks).toBe(2);
  const slow = watched(60_000);
  await slow.progress.of(record);
  slow.state.now += 10_000;
  await slow.progress.of(record);
  expect(slow.state.looks).toBe(2);
});

it("a look that failed is done again", async () => {
  let fails = true;
  const progress = new Progress({
    imports: {
      async *certificates() {
        if (fails) throw new Error("Redis is gone");
        yield ["a.example"];
      },
    },
    certificates: { standings: async () => [{ status: "issued" }] },
  });
  await expect(progress.of(record)).rejects.toThrow("gone");
  fails = false;
  expect(await progress.of(record)).toMatchObject({ statuses: { issued: 1 }, finishesAt: null });
});
