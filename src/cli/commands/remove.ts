import type { Command } from "commander";
import { type Removal, removeAndWait } from "../../runtime/remove-and-wait.ts";
import { actor } from "../actor.ts";
import { InProcessWorkers, withRestoredHouse } from "../house.ts";
import { type Io, note, print } from "../output.ts";
import { findCertificate } from "./show.ts";

/** Milliseconds for which nodes are waited for: longer than stunnel's reloads are apart. */
const PATIENCE = 120_000;

export function removeCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("remove")
    .summary("take one certificate out of everything: nodes, schedule and index")
    .description(
      "Nothing is ordered or renewed for it any more, its nodes stop serving it, and its files go to $CERTHERD_HOME/archive. A node that cannot be reached lets go of it as soon as it is back.",
    )
    .argument("<name>", "the certificate's first name")
    .option("--revoke", "tell the CA, too, that it is not to be trusted any more")
    .option("--json", "one JSON document on stdout")
    .addHelpText(
      "after",
      "\nExamples:\n  certherd remove www.example.com\n  certherd remove www.example.com --revoke",
    )
    .action(async (name: string, options: { revoke?: boolean; json?: boolean }) => {
      await withRestoredHouse(io, async (house) => {
        const record = await findCertificate(house, name);
        const revoke = options.revoke === true;
        await house.audit.note({ by: actor(), action: revoke ? "remove and revoke" : "remove", record });
        const workers = new InProcessWorkers(house);
        const ensureWorkers = (): Promise<void> => workers.ensure(["deploy"]);
        const request = { revoke, max: PATIENCE, ensureWorkers };
        const report = await removeAndWait(house, record, request).finally(() => workers.close());
        if (options.json) print(io, JSON.stringify(report));
        else say(io, report);
        const { removed, owed, notRevoked } = report;
        exit(removed && owed.length === 0 && notRevoked === undefined ? 0 : 1);
      });
    });
}

function say(io: Io, { name, removed, revoked, owed, lost, notRevoked }: Removal): void {
  if (!removed) {
    note(io, `${name} was asked for again in between: it is not removed.`);
    return;
  }
  print(io, `${name}: removed${revoked ? " and revoked" : ""}.`);
  if (owed.length > 0)
    note(
      io,
      `Still to be taken away from ${owed.join(", ")}, as soon as that can be reached (certherd doctor).`,
    );
  if (lost.length > 0)
    note(
      io,
      `${lost.join(", ")} had it, and is configured no more: what is still served there has to be taken away by hand.`,
    );
  if (notRevoked !== undefined) note(io, `It is not revoked: ${notRevoked}`);
}
