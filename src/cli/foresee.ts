import type { CertificateSpec } from "../core/certificate.ts";
import { openCsv, readRows } from "../intake/csv.ts";
import { importRows } from "../intake/import.ts";
import type { House } from "../runtime/house.ts";
import { importDeps } from "../runtime/imports.ts";
import type { ImportCounts } from "../store/imports.ts";
import { isToBeDone } from "../store/record.ts";
import { type Io, note, plain } from "./output.ts";

/** What of a file would be ordered, if it was imported now. Nothing is taken in, and its faults are only counted. */
export async function foreseeFile(
  house: House,
  io: Io,
  file: string,
  options: { priority?: number } = {},
): Promise<{ specs: CertificateSpec[]; counts: ImportCounts }> {
  const { maxImportBytes } = house.config;
  const { source, what } = await openCsv(file, { maxBytes: maxImportBytes });
  const rows = readRows(source, { maxBytes: maxImportBytes, what });
  const specs: CertificateSpec[] = [];
  const { counts, faults } = await importRows(importDeps(house), {
    ...options,
    rows,
    info: rows.info,
    source: file,
    notify: "off",
    dryRun: true,
    onForeseen: (spec, action) => {
      if (isToBeDone(action)) specs.push(spec);
    },
  });
  await faults.remove();
  for (const warning of rows.info.warnings) note(io, plain(warning));
  return { specs, counts };
}
