import type { Command } from "commander";
import { type CertificateRecord, certificateId } from "../../core/certificate.ts";
import { certificateDocument } from "../../core/documents.ts";
import { usageError } from "../../core/errors.ts";
import { checkName } from "../../core/names.ts";
import { Forecast } from "../../runtime/forecast.ts";
import type { House } from "../../runtime/house.ts";
import { withHouseToRead } from "../house.ts";
import { type Io, plain, print } from "../output.ts";

export function showCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("show")
    .summary("show one certificate and its history")
    .argument("<name>", "the certificate's first name")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  certherd show www.example.com\n  certherd show bücher.example --json",
    )
    .action(async (name: string, options: { json?: boolean }) => {
      await withHouseToRead(io, async (house) => {
        const record = await findCertificate(house, name);
        const document = {
          ...certificateDocument(record, await new Forecast(house).of(record)),
          events: await house.certificates.events(record.id),
        };
        if (options.json) print(io, JSON.stringify(document));
        else printDocument(house, io, record, document);
      });
      exit(0);
    });
}

/** The certificate of that first name, however the name is written. */
export async function findCertificate(house: House, name: string): Promise<CertificateRecord> {
  const checked = checkName(name);
  const record = await house.certificates.get(certificateId(checked.ok ? checked.name : name));
  if (record) return record;
  const why = checked.ok ? "certherd list shows those that are" : checked.reason;
  throw usageError("not_found", `${plain(name)} is no certificate's first name here: ${why}.`);
}

function renewalWords({ renewAt, suggested }: Shown): string | undefined {
  if (renewAt === undefined || suggested === undefined) return renewAt;
  const why = suggested.explanationUrl === undefined ? "" : `; why: ${suggested.explanationUrl}`;
  return `${renewAt} (the CA suggests ${suggested.start} to ${suggested.end}${why})`;
}

type Shown = ReturnType<typeof certificateDocument> & {
  events: { at: string; what: string; detail?: string; by?: string }[];
};

function printDocument(house: House, io: Io, record: CertificateRecord, document: Shown): void {
  const { spec } = record;
  const paths = house.certificateFiles.paths(record.id);
  const lines: [string, string | undefined][] = [
    ["Name", document.name],
    ["Names", document.names.length > 1 ? document.names.join(", ") : undefined],
    ["Status", document.status + (document.reason ? ` (${document.reason})` : "")],
    ["Until", document.until],
    ["Done by", document.doneBy],
    ["Because", document.detail],
    ["What the CA says", document.error?.type.startsWith("urn:ietf") ? document.error.type : undefined],
    ["Act at", document.error?.url],
    ["Failed attempts", document.attempts ? String(document.attempts) : undefined],
    ["Valid", document.notBefore ? `${document.notBefore} to ${document.notAfter}` : undefined],
    ["Issuer", document.issuer],
    ["Serial", document.serial],
    ["Revoked", document.revokedAt],
    ["Renewal", renewalWords(document)],
    ["Ports", `VIP ${spec.vipPort}, ACME ${spec.acmePort}`],
    ["Mail", spec.mail ? `${spec.mail.to} through ${spec.mail.relay}:${spec.mail.port}` : undefined],
    ["Files", record.leaf ? `${paths.fullchain} and ${paths.key}` : undefined],
  ];
  for (const [label, value] of lines)
    if (value !== undefined) print(io, `${`${label}:`.padEnd(18)}${plain(value)}`);
  if (document.nodes.length > 0) print(io, "\nNodes:");
  for (const { node, serving, serial, seenAt, owed } of document.nodes) {
    const what = serving ? "serves it" : serial ? `serves ${serial}` : "does not serve it";
    print(io, `  ${node.padEnd(18)}${what}, seen ${seenAt}${owed ? `: ${plain(owed)}` : ""}`);
  }
  if (document.events.length > 0) print(io, "\nHistory:");
  for (const { at, what, detail, by } of document.events)
    print(
      io,
      `  ${at}  ${what.padEnd(16)} ${plain([detail, by && `by ${by}`].filter(Boolean).join(", "))}`.trimEnd(),
    );
}
