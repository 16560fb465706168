import type { CertificateRecord } from "../core/certificate.ts";
import type { Polled } from "./policy.ts";
import type { RenewalDeps } from "./ports.ts";

export type Poll = Polled;

/** Certificates that the CA is asked about at once; its limits of requests are kept further down. */
const AT_ONCE = 16;

/** What the CA says of each; those that cannot be asked about are left out. */
export async function pollAll(
  { ask }: Pick<RenewalDeps, "ask">,
  records: readonly CertificateRecord[],
): Promise<Map<string, Poll>> {
  const polls = new Map<string, Poll>();
  const waiting = [...records];
  const worker = async (): Promise<void> => {
    for (let record = waiting.shift(); record; record = waiting.shift()) {
      const poll = await ask(record);
      if (poll) polls.set(record.id, poll);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, waiting.length) }, worker));
  return polls;
}
