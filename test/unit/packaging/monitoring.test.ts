/** The dashboard and the alert rules ask for metrics that there are. */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const path = (name: string): string => fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url));
const read = (name: string): string => readFileSync(path(name), "utf8");
const metricsIn = (text: string): string[] => [
  ...new Set(text.match(/\bcertherd_[a-z_]+/g)?.map((name) => name.replace(/_(bucket|sum|count)$/, ""))),
];
const documented = new Set(metricsIn(read("monitoring.md")));
const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;

interface Rules {
  groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
}

describe("alerts.yml", () => {
  const { groups } = parse(read("monitoring/alerts.yml")) as Rules;
  const rules = groups.flatMap((group) => group.rules);

  it("asks for documented metrics", () => {
    expect(rules.length).toBeGreaterThan(5);
    for (const { expr, annotations } of rules) {
      for (const metric of metricsIn(expr)) expect(documented).toContain(metric);
      expect(annotations.summary).toBeTruthy();
    }
  });

  it.runIf(hasPromtool)("does what alerts.test.yml says", () => {
    const said = execFileSync("promtool", ["test", "rules", path("monitoring/alerts.test.yml")], {
      encoding: "utf8",
    });
    expect(said).toContain("SUCCESS");
  });

  it.runIf(hasPromtool)("is right for promtool", () => {
    const said = execFileSync("promtool", ["check", "rules", path("monitoring/alerts.yml")], {
      encoding: "utf8",
    });
    expect(said).toContain(`SUCCESS: ${rules.length} rules found`);
  });
});

describe("grafana.json", () => {
  it("asks for documented metrics", () => {
    const { panels } = JSON.parse(read("monitoring/grafana.json")) as {
      panels: { title: string; targets: { expr: string }[] }[];
    };
    expect(panels.length).toBeGreaterThan(5);
    for (const { targets } of panels)
      for (const { expr } of targets) {
        expect(metricsIn(expr)).not.toHaveLength(0);
        for (const metric of metricsIn(expr)) expect(documented).toContain(metric);
      }
  });
});
