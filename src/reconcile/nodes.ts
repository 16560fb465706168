import { message } from "./files.ts";
import type { Known, ReconcileDeps } from "./ports.ts";

/** What lies on nodes under names as we give them, and is of no certificate that we know. It is never taken away. */
export async function lookAtNodes(
  { deployment, report, certificates }: ReconcileDeps,
  known: Known,
): Promise<void> {
  for (const { place, stems } of deployment.present()) {
    try {
      let count = 0;
      for await (const stem of stems) {
        count++;
        if (known.stems.has(stem) || (await certificates.get(stem).catch(() => undefined))) continue;
        report.add("foreign_on_node", stem, `on ${place}`);
      }
      report.looked("entries on nodes", count);
    } catch (error) {
      report.add("node_unreadable", place, message(error));
    }
  }
}
