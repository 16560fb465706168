import { STAGE_BUCKETS, type StageTime } from "../../store/stage-times.ts";

const NAME = "certherd_stage_seconds";

/** A histogram in Prometheus's text format: it is counted in Redis, and prom-client counts only what it sees itself. */
export function stageText(times: readonly StageTime[]): string {
  const lines = [
    `# HELP ${NAME} How long certificates were in each status before they left it.`,
    `# TYPE ${NAME} histogram`,
  ];
  for (const { stage, counts, count, sum } of times) {
    let below = 0;
    for (const [index, most] of STAGE_BUCKETS.entries()) {
      below += counts[index] ?? 0;
      lines.push(`${NAME}_bucket{stage="${stage}",le="${most}"} ${below}`);
    }
    lines.push(
      `${NAME}_bucket{stage="${stage}",le="+Inf"} ${count}`,
      `${NAME}_sum{stage="${stage}"} ${sum}`,
      `${NAME}_count{stage="${stage}"} ${count}`,
    );
  }
  return `\n${lines.join("\n")}\n`;
}
