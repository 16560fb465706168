/** What the demo imports: fixtures/demo.csv, or as many made-up names as are asked for. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "./stage.ts";

/** What fixtures/demo.csv holds that must fail: the reason is part of what the demo shows. */
export const MALFORMED = "shop_.atelier-sud.fr";
export const MOVED = "gone.polder.nl";
export const BLOCKED = "blocked.sierra-bikes.es";

/** The CSV with ports that are free here; how many of its names must be issued. `rows`: of made-up names. */
export function writeCsv(
  path: string,
  rows: number | undefined,
  { acmePort, smtpPort }: { acmePort: number; smtpPort: number },
): number {
  if (rows === undefined) {
    const text = readFileSync(join(PROJECT, "fixtures/demo.csv"), "utf8");
    writeFileSync(path, text.replaceAll(",8888,", `,${acmePort},`).replaceAll(",2525", `,${smtpPort}`));
    return text.trim().split("\n").length - 2 - 3;
  }
  const mail = `certherd@lb.example,ops@lb.example,127.0.0.1,${smtpPort}`;
  const lines = Array.from(
    { length: rows },
    (_, n) => `host${n}.customer${n % 97}.example,443,${acmePort},${mail}`,
  );
  writeFileSync(path, `${lines.join("\n")}\n`);
  return rows;
}

/** A list as long as what people bring, of which only the time is asked. */
export function writeForecastCsv(path: string, names: number): void {
  const lines = Array.from({ length: names }, (_, n) =>
    n % 40 === 0 ? `shop${n}.busy.example` : `www.customer${n}.example`,
  );
  writeFileSync(path, `${lines.join("\n")}\n`);
}
