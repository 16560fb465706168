import { defineConfig } from "vitest/config";

const common = { environment: "node", setupFiles: ["test/support/leaks.ts"] };
/** Real servers on two cores: files one after the other, with time for a slow machine. */
const serial = { fileParallelism: false, testTimeout: 60_000, hookTimeout: 120_000 };

export default defineConfig({
  test: {
    // What a test starts as a real program has to be installed and built before.
    projects: [
      { test: { ...common, name: "unit", include: ["test/unit/**/*.test.ts"] } },
      { test: { ...common, ...serial, name: "contract", include: ["test/contract/**/*.test.ts"] } },
      { test: { ...common, ...serial, name: "integration", include: ["test/integration/**/*.test.ts"] } },
      {
        test: {
          ...common,
          ...serial,
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          exclude: ["test/e2e/**/*.full.test.ts"],
        },
      },
      {
        test: {
          ...common,
          ...serial,
          name: "full",
          include: ["test/e2e/**/*.full.test.ts"],
          testTimeout: 600_000,
        },
      },
    ],
  },
});
