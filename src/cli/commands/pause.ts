import type { Command } from "commander";
import type { CertificateRecord } from "../../core/certificate.ts";
import { pauseCertificate, resumeCertificate } from "../../runtime/pausing.ts";
import { actor } from "../actor.ts";
import { withRestoredHouse } from "../house.ts";
import { type Io, print } from "../output.ts";
import { findCertificate } from "./show.ts";

export function pauseCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("pause")
    .summary("leave one certificate alone until it is resumed")
    .description(
      "Takes a certificate out of the queue. Nothing is ordered or renewed for it until `certherd resume`; an order in flight ends at its next step, and a certificate that the CA was asked to issue is fetched all the same.",
    )
    .argument("<name>", "the certificate's first name")
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExamples:\n  certherd pause www.example.com")
    .action(async (name: string, options: { json?: boolean }) => {
      await withRestoredHouse(io, async (house) => {
        const record = await findCertificate(house, name);
        await house.audit.note({ by: actor(), action: "pause", record });
        const changed = await pauseCertificate(house, record);
        say(io, record, options, changed, changed ? "paused" : "paused already");
      });
      exit(0);
    });
}

export function resumeCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("resume")
    .summary("go on with a certificate that was paused, by you or by the CA")
    .description(
      "Takes up a certificate again that was paused, or whose name the CA had paused for this account: open the CA's page first (certherd show NAME).",
    )
    .argument("<name>", "the certificate's first name")
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExamples:\n  certherd resume www.example.com")
    .action(async (name: string, options: { json?: boolean }) => {
      await withRestoredHouse(io, async (house) => {
        const record = await findCertificate(house, name);
        await house.audit.note({ by: actor(), action: "resume", record });
        const resumed = await resumeCertificate(house, record);
        const words = {
          queued: "queued again",
          issued: "resumed; its certificate is good, and will be renewed in time",
        };
        const said = resumed === undefined ? "not paused: nothing is to be resumed" : words[resumed];
        say(io, record, options, resumed !== undefined, said);
      });
      exit(0);
    });
}

function say(
  io: Io,
  { spec }: CertificateRecord,
  { json }: { json?: boolean },
  changed: boolean,
  words: string,
): void {
  const name = spec.names[0] ?? "";
  print(io, json ? JSON.stringify({ name, changed }) : `${name}: ${words}.`);
}
