import { defineConfig } from "vitest/config";

const common = { environment: "node", setupFiles: ["test/support/leaks.ts"] };
/** Real servers, with time for a slow machine. */
const patient = { testTimeout: 60_000, hookTimeout: 120_000 };
/** What does not bear another one beside it: one file after the other. */
const serial = { ...patient, fileParallelism: false };
/** Most of it is waiting: two files at once, each with servers, ports and folders of its own. */
const paired = { ...patient, maxWorkers: 2 };

/** What has to keep up with a person, or tells within 10 s where an address is: little to spare on two busy cores. */
const ALONE = ["test/e2e/pair.test.ts", "test/e2e/dashboard.test.ts", "test/e2e/dashboard-wizard.test.ts"];

export default defineConfig({
  test: {
    // What a test starts as a real program has to be installed and built before.
    projects: [
      {
        test: {
          ...common,
          name: "unit",
          // Modules alone, without state: loading them anew for each file takes as long as the tests.
          isolate: false,
          include: ["test/unit/**/*.test.ts"],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          ...paired,
          name: "contract",
          include: ["test/contract/**/*.test.ts"],
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          ...paired,
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          ...paired,
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          exclude: ["test/e2e/**/*.full.test.ts", ...ALONE],
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...common,
          ...serial,
          name: "e2e-alone",
          include: ALONE,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          ...common,
          ...serial,
          name: "full",
          include: ["test/e2e/**/*.full.test.ts"],
          testTimeout: 600_000,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
