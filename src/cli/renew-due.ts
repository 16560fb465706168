import type { CertificateRecord } from "../core/certificate.ts";
import { chunked } from "../core/chunked.ts";
import { lookAtRenewals } from "../renewal/turn.ts";
import { CaAccount } from "../runtime/accounts.ts";
import type { House } from "../runtime/house.ts";
import { renewalDeps } from "../runtime/renewals.ts";
import type { Io } from "./output.ts";
import { Progress } from "./progress.ts";

/** Certificates that the CA is asked about between two steps of the progress. */
const CHUNK = 200;

/** Its renewal has failed, and the moment of its next try has passed: where nobody runs all the time, that is now. */
function isOverdue({ status, reason, until = 0, leaf }: CertificateRecord, now: number): boolean {
  return (
    status === "waiting" && reason !== "limit" && until <= now && leaf !== undefined && leaf.renewAt <= now
  );
}

/** Asks the CA about every certificate, and gives those that are due, a chunk at a time. */
export async function* dueCertificates(
  house: House,
  io: Io,
  { quiet }: { quiet: boolean },
): AsyncGenerator<readonly CertificateRecord[]> {
  const { config, redis, clock, certificates } = house;
  const accounts = config.cas.map((ca) => new CaAccount(ca, config, redis, clock));
  const progress = quiet ? undefined : new Progress(io, clock.now());
  const total = await certificates.count();
  let done = 0;
  try {
    for await (const chunk of chunked(certificates.all(), CHUNK)) {
      const due: CertificateRecord[] = [];
      const deps = {
        ...renewalDeps(house, accounts),
        enqueue: async (records: readonly CertificateRecord[]) => {
          due.push(...records);
        },
      };
      await lookAtRenewals(deps, chunk, ({ status }) => status !== "removed");
      due.push(...chunk.filter((record) => isOverdue(record, clock.now())));
      done += chunk.length;
      progress?.update({ total, done, failed: 0, waiting: 0 }, clock.now());
      if (due.length > 0) yield due;
    }
  } finally {
    progress?.stop();
    await Promise.all(accounts.map((account) => account.close()));
  }
}
