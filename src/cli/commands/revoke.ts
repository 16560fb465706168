import { statSync } from "node:fs";
import type { Command } from "commander";
import { usageError } from "../../core/errors.ts";
import { REVOCATION_REASONS, type RevocationReason } from "../../core/revocation.ts";
import { actor } from "../actor.ts";
import { NOBODY_RENEWS, someoneRenews, withRestoredHouse } from "../house.ts";
import { type Io, note, oneOf, print } from "../output.ts";
import { revokeAndReplace, revokeFile } from "../revoking.ts";
import { findCertificate } from "./show.ts";

interface RevokeOptions {
  reason: string;
  ca?: string;
  keep?: boolean;
  wait?: boolean;
  json?: boolean;
}

export function revokeCommand(program: Command, io: Io, exit: (code: number) => void): void {
  const reasons = Object.keys(REVOCATION_REASONS) as RevocationReason[];
  program
    .command("revoke")
    .summary("revoke a certificate, and replace it")
    .description(
      "Tells the CA that a certificate is not to be trusted any more, and orders a new one with a new key for the same names, as they go on being served. To end them: certherd remove NAME --revoke",
    )
    .argument(
      "<name>",
      "the certificate's first name, or a file with a certificate that is not in use here any more",
    )
    .option("--reason <reason>", reasons.join(", "), "unspecified")
    .option("--ca <name>", "with a file: the CA of the configuration that it is from")
    .option("--keep", "order no new one now; it is renewed when it is due, which the CA may say is at once")
    .option("--wait", "wait for the new one; works without `up`")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      `
Examples:
  certherd revoke www.example.com --reason keyCompromise --wait
  certherd revoke /var/lib/certherd/archive/www.example.com-20270101T000000Z/www.example.com.cer`,
    )
    .action(async (name: string, options: RevokeOptions) => {
      const reason = oneOf<RevocationReason>("--reason", options.reason, reasons);
      const isFile = name.includes("/") || statSync(name, { throwIfNoEntry: false })?.isFile() === true;
      if (!isFile && options.ca !== undefined)
        throw usageError("bad_option", "--ca goes with a file; a certificate's own CA is known.");
      await withRestoredHouse(io, async (house) => {
        if (isFile) {
          await house.audit.note({ by: actor(), action: "revoke", detail: `${name}, ${reason}` });
          const { serial, ca } = await revokeFile(house, name, reason, options.ca);
          if (options.json) print(io, JSON.stringify({ revoked: true, serial, ca }));
          else print(io, `Revoked ${serial} at ${ca}.`);
          return exit(0);
        }
        const record = await findCertificate(house, name);
        await house.audit.note({ by: actor(), action: "revoke", detail: reason, record });
        const report = await revokeAndReplace(house, io, record, {
          reason,
          replace: options.keep !== true,
          wait: options.wait === true,
          quiet: options.json === true,
        });
        if (options.json) print(io, JSON.stringify(report));
        else {
          print(io, `${report.name}: revoked ${report.serial}.`);
          if (report.replacement) print(io, `Its replacement: ${report.replacement}.`);
        }
        if (report.replacement !== undefined && !options.wait && !(await someoneRenews(house)))
          note(io, NOBODY_RENEWS);
        exit(report.failed ? 1 : 0);
      });
    });
}
