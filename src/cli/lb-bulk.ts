import { isIssued, isObtained } from "../core/certificate.ts";
import { openCsv, readRows } from "../intake/csv.ts";
import { importRecords } from "../intake/documents.ts";
import { importRows } from "../intake/import.ts";
import { RejectedFile, rejectedPath } from "../intake/rejected.ts";
import type { House } from "../runtime/house.ts";
import { importDeps } from "../runtime/imports.ts";
import { actor } from "./actor.ts";
import { NOBODY_RENEWS, someoneRenews } from "./house.ts";
import { failure, notServed, success } from "./lb-words.ts";
import { type Io, note, plain, print } from "./output.ts";
import { waitForImport } from "./wait.ts";

/** `lb-letsencrypt -b`: every row of the file, and the original's line for each. Returns the exit code. */
export async function runBulk(house: House, io: Io, file: string): Promise<number> {
  const { maxImportBytes } = house.config;
  const { source, what } = await openCsv(file, { maxBytes: maxImportBytes });
  const rows = readRows(source, { maxBytes: maxImportBytes, what });
  await house.audit.note({ by: actor(), action: "import", detail: file });
  const rejected = new RejectedFile(rejectedPath(file), rows.info);
  const { id, counts } = await importRows(importDeps(house), {
    rows,
    info: rows.info,
    source: file,
    notify: house.config.mail.notify,
    onRejected: async (row, faults) => {
      for (const { line, column, reason } of faults) note(io, `line ${line}, ${column}: ${plain(reason)}`);
      await rejected.add(row, faults);
    },
  });
  const path = await rejected.close();
  if (path) note(io, `The rejected rows are in ${path}.`);
  await waitForImport(house, io, id, { quiet: !io.err.isTTY });
  const failed = await printEach(house, io, id);
  if (!(await someoneRenews(house))) note(io, NOBODY_RENEWS);
  return failed + counts.rejectedRows > 0 ? 1 : 0;
}

async function printEach(house: House, io: Io, importId: string): Promise<number> {
  let failed = 0;
  for await (const record of importRecords(house.imports, house.certificates, importId)) {
    if (!record) continue;
    const name = record.spec.names[0] ?? "";
    const issued = isObtained(record);
    if (!issued) failed++;
    const words = isIssued(record) ? notServed : failure;
    print(io, issued ? success(name) : words(name, record.detail ?? record.status));
  }
  return failed;
}
