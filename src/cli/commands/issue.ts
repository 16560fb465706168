import type { Command } from "commander";
import { type CertificateRecord, isIssued, isObtained } from "../../core/certificate.ts";
import { certificateDocument } from "../../core/documents.ts";
import { usageError } from "../../core/errors.ts";
import type { RawRow } from "../../intake/csv.ts";
import { importRecords } from "../../intake/documents.ts";
import { importRows } from "../../intake/import.ts";
import type { Fault } from "../../intake/row.ts";
import type { House } from "../../runtime/house.ts";
import { importDeps } from "../../runtime/imports.ts";
import { actor } from "../actor.ts";
import { NOBODY_RENEWS, someoneRenews, withRestoredHouse } from "../house.ts";
import { type Io, note, plain, print } from "../output.ts";
import { waitForImport } from "../wait.ts";

/** One certificate as asked for on a command line; cells as a CSV's row would have them. */
export interface SingleRequest {
  names: readonly string[];
  cells: Readonly<Record<string, string | undefined>>;
  source: string;
  quiet: boolean;
}

export interface SingleResult {
  id: string;
  status: string;
  detail: string;
  name: string;
  /** 0 when it is issued, 3 when the CA is out of reach, else 1. */
  exitCode: number;
}

export function issueCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("issue")
    .summary("get one certificate now")
    .description("Gets one certificate for all the names given, and waits for it. Works without `up`.")
    .requiredOption("-d, --domain <name...>", "a name; the first one names the certificate")
    .option("-p, --vip-port <port>", "port of the VIP (443)")
    .option("--acme-port <port>", "port that answers http-01 (8888)")
    .option("-f, --from <address>", "sender of mail")
    .option("-t, --to <address>", "recipient of mail")
    .option("-r, --relay <host>", "mail relay")
    .option("-x, --relay-port <port>", "port of the mail relay (25)")
    .option("--ca <name>", "a CA of the configuration")
    .option("--profile <name>", "a profile that the CA offers")
    .option("--key-type <type>", "ec256, ec384, rsa2048, rsa3072, rsa4096")
    .option("--priority <level>", "urgent, high, normal, low, or 1 to 100", "urgent")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  certherd issue -d www.example.com
  certherd issue -d example.com www.example.com --acme-port 8889
  certherd issue -d example.com -t ops@example.com -f certs@example.com -r mail.example.com`,
    )
    .action(async (options: Record<string, string | undefined> & { domain: string[]; json?: boolean }) => {
      exit(
        await withRestoredHouse(io, async (house) => {
          const result = await issueOne(house, io, {
            names: options.domain,
            source: "certherd issue",
            quiet: options.json === true,
            cells: {
              VIPPort: options.vipPort,
              ACMEPort: options.acmePort,
              FROMAddr: options.from,
              TOAddr: options.to,
              RELAYAddr: options.relay,
              RELAYPort: options.relayPort,
              CA: options.ca,
              Profile: options.profile,
              KeyType: options.keyType,
              Priority: options.priority,
            },
          });
          const record = await house.certificates.get(result.id);
          if (options.json && record) print(io, JSON.stringify(certificateDocument(record)));
          else if (record && isObtained(record)) {
            const paths = house.certificateFiles.paths(result.id);
            const what = record.status === "serving" ? "Issued, and served by every node:" : "Issued";
            print(io, `${what} ${result.name}: ${paths.fullchain} and ${paths.key}`);
          } else {
            const what = record && isIssued(record) ? "issued, but not served" : "not issued";
            print(io, `${result.name} is ${what}: ${plain(result.detail)}`);
          }
          if (!(await someoneRenews(house))) note(io, NOBODY_RENEWS);
          return result.exitCode;
        }),
      );
    });
}

/** Takes in one row and waits for its certificate. A row that is wrong is a usage error with all its faults. */
export async function issueOne(house: House, io: Io, request: SingleRequest): Promise<SingleResult> {
  const given = Object.entries(request.cells).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const cells: Record<string, string> = { DOMAIN: request.names.join(" "), ...Object.fromEntries(given) };
  const row: RawRow = { line: 1, cells, raw: Object.values(cells), faults: [] };
  const faults: Fault[] = [];
  await house.audit.note({ by: actor(), action: "issue", detail: request.names.join(" ") });
  const { id } = await importRows(importDeps(house), {
    rows: one(row),
    info: { header: undefined, warnings: [] },
    source: request.source,
    notify: "each",
    onRejected: async (_, found) => {
      faults.push(...found);
    },
  });
  if (faults.length > 0)
    throw usageError("bad_request", faults.map(({ column, reason }) => `${column}: ${reason}`).join("\n"));
  await waitForImport(house, io, id, { quiet: request.quiet, hopeless: () => caIsDown(house, id) });
  for await (const record of importRecords(house.imports, house.certificates, id))
    if (record)
      return {
        exitCode: exitCodeFor(record),
        id: record.id,
        name: record.spec.names[0] ?? "",
        status: record.status,
        detail: record.detail ?? "",
      };
  throw usageError("bad_request", "The certificate was removed while it was waited for.");
}

function exitCodeFor(record: CertificateRecord): number {
  if (isObtained(record)) return 0;
  return record.status === "waiting" && record.reason === "ca" ? 3 : 1;
}

/** A person waits for this one certificate: a CA that has not answered several times in a row is not waited for. */
async function caIsDown(house: House, importId: string): Promise<boolean> {
  for await (const record of importRecords(house.imports, house.certificates, importId))
    if (record?.status === "waiting" && record.reason === "ca") return true;
  return false;
}

async function* one(row: RawRow): AsyncGenerator<RawRow> {
  yield row;
}
