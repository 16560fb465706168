import type { Command } from "commander";
import { chunked } from "../../core/chunked.ts";
import { reopenAccounts, retryFailed } from "../../runtime/acting.ts";
import type { House } from "../../runtime/house.ts";
import { actor } from "../actor.ts";
import { withRestoredHouse } from "../house.ts";
import { type Io, print } from "../output.ts";
import { findCertificate } from "./show.ts";

const CHUNK = 1_000;

export function retryCommand(program: Command, io: Io, exit: (code: number) => void): void {
  program
    .command("retry")
    .summary("try what has failed again, now")
    .description(
      "Tries a certificate that has failed again, or all of them. The CA's limits are kept all the same.",
    )
    .argument("[name]", "the certificate's first name; all that have failed when left out")
    .option("--json", "one JSON document on stdout")
    .addHelpText("after", "\nExamples:\n  certherd retry www.example.com\n  certherd retry")
    .action(async (name: string | undefined, options: { json?: boolean }) => {
      await withRestoredHouse(io, async (house) => {
        const whom = name === undefined ? { detail: "all that have failed" } : { certificate: name };
        await house.audit.note({ by: actor(), action: "retry", ...whom });
        await reopenAccounts(house);
        const retried = name === undefined ? await retryAll(house) : await retryOne(house, name);
        if (options.json) print(io, JSON.stringify({ retried }));
        else
          print(
            io,
            retried === 0 ? "Nothing has failed: there is nothing to try again." : `${retried} queued again.`,
          );
      });
      exit(0);
    });
}

async function retryOne(house: House, name: string): Promise<number> {
  return await retryFailed(house, [await findCertificate(house, name)]);
}

async function retryAll(house: House): Promise<number> {
  let retried = 0;
  for (const status of ["attention", "waiting"] as const) {
    // What the CA has paused is for `resume`, once a person has been at the CA's page.
    for await (const chunk of chunked(house.certificates.all(status), CHUNK))
      retried += await retryFailed(
        house,
        chunk.filter((record) => record.error?.code !== "paused_by_ca"),
      );
  }
  return retried;
}
