import type { Command } from "commander";
import { type CertificateRecord, isRetriable } from "../../core/certificate.ts";
import { chunked } from "../../core/chunked.ts";
import { Breaker } from "../../limits/breaker.ts";
import type { House } from "../../runtime/house.ts";
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
        for (const ca of house.config.cas) {
          await house.stops.lift(ca.name);
          await new Breaker(house.redis, ca.name).close();
        }
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
  const record = await findCertificate(house, name);
  return isRetriable(record) ? await enqueue(house, [record]) : 0;
}

async function retryAll(house: House): Promise<number> {
  let retried = 0;
  for (const status of ["attention", "waiting"] as const) {
    // What the CA has paused is for `resume`, once a person has been at the CA's page.
    for await (const chunk of chunked(house.certificates.all(status), CHUNK))
      retried += await enqueue(
        house,
        chunk.filter((record) => isRetriable(record) && record.error?.code !== "paused_by_ca"),
      );
  }
  return retried;
}

async function enqueue(house: House, records: readonly CertificateRecord[]): Promise<number> {
  const at = house.clock.now();
  await house.importFiles.appendSingle(
    records.map(({ spec }) => ({ line: 0, at, spec })),
    at,
  );
  await house.enqueuer.enqueue(records.map(({ spec }) => spec));
  return records.length;
}
