import type { CertificateRecord } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import { certificateDocument } from "../core/documents.ts";
import { todoOf } from "../core/todo.ts";
import type { RenewalPolicy } from "../renewal/policy.ts";
import { whyRenewed } from "../renewal/why.ts";
import type { CertificateStore } from "../store/certificates.ts";
import { failuresOf, requestsOf, stepsOf } from "./history.ts";
import type { CertificateDetail } from "./schemas/certificates.ts";

export interface DetailDeps {
  /** By when it should be done, milliseconds since the epoch. */
  doneBy: (record: CertificateRecord) => Promise<number | undefined>;
  /** As it is deployed, leaf first; empty where its files are not on this host. */
  chain: (id: string) => Promise<CertificateDetail["chain"]>;
  renewal: RenewalPolicy;
}

/** One certificate with all that a person may want to know about it. */
export async function certificateDetail(
  certificates: Pick<CertificateStore, "history">,
  { doneBy, chain, renewal }: DetailDeps,
  record: CertificateRecord,
): Promise<CertificateDetail> {
  const { id, spec, importId, acceptedAt, leaf, status } = record;
  const [{ events, since }, done, certificatesOfChain] = await Promise.all([
    certificates.history(id),
    doneBy(record),
    leaf === undefined ? [] : chain(id),
  ]);
  const why = status === "removed" ? undefined : whyRenewed(record, renewal);
  const todo = todoOf(record);
  const { vipPort, acmePort, keyType, challenge, priority, profile, mail } = spec;
  return {
    ...certificateDocument(record, done),
    events,
    ...{ vipPort, acmePort, keyType, challenge, priority },
    ...(profile === undefined ? {} : { profile }),
    ...(mail === undefined ? {} : { mail }),
    ...(importId === undefined ? {} : { import: importId }),
    acceptedAt: rfc3339(acceptedAt),
    steps: stepsOf(record, events, since),
    failures: failuresOf(events),
    ...(todo === undefined ? {} : { todo }),
    chain: certificatesOfChain,
    ...(why === undefined || leaf === undefined ? {} : { renewal: { at: rfc3339(leaf.renewAt), why } }),
    requests: requestsOf(events),
  };
}
