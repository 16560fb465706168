import type { CertificateRecord } from "../core/certificate.ts";
import { adoptAccounts } from "./accounts.ts";
import { caOf } from "./cas.ts";
import { type AdoptDocument, countActions } from "./document.ts";
import { judge } from "./judge.ts";
import type { AdoptDeps, AdoptRequest } from "./ports.ts";
import { Putter } from "./put.ts";
import { orRefused, type Scanned, scan, takeUp } from "./scan.ts";

/** Certificates compared with the index in one round trip, and handed on to their nodes together. */
const CHUNK = 100;
/** Certificates written at once: each waits for the disk several times. */
const AT_ONCE = 16;

/**
 * Takes over what another ACME client has, without a request to the CA and without a change to the client's files. One
 * that is bad is told with its reason, and loses nothing of the rest; repeating it changes nothing.
 */
export async function adopt(deps: AdoptDeps, request: AdoptRequest): Promise<AdoptDocument> {
  const { home, cas, present, write } = deps;
  const scanned = await scan(deps, request);
  // The accounts first: a renewal may come right behind its certificate.
  const accounts = await adoptAccounts(
    home,
    cas,
    (directory) => mostUsed(scanned, directory, cas),
    present.accountKey,
    write?.accounts,
    deps.now(),
  );
  const putter = write && new Putter(write, home.kind, request.template);
  const wanted = scanned.filter(({ candidate }) => candidate !== undefined);
  const done = { count: 0, refused: 0 };
  for (let from = 0; from < wanted.length; from += CHUNK) {
    const chunk = wanted.slice(from, from + CHUNK);
    await takeChunk(deps, request, chunk, putter);
    done.count += chunk.length;
    done.refused += chunk.filter(({ result }) => result.action === "refused").length;
    if (putter) request.onProgress?.("write", done.count, wanted.length, done.refused);
  }
  await putter?.end();
  const certificates = scanned.map(({ result }) => result);
  return {
    source: { kind: home.kind, path: home.path },
    dryRun: write === undefined,
    counts: countActions(certificates),
    accounts,
    certificates,
    takeOut: home.takeOut(),
  };
}

/** The account that most certificates of that CA were ordered with, by the other client's own name of it. */
function mostUsed(scanned: readonly Scanned[], directory: string, cas: AdoptDeps["cas"]): string | undefined {
  const ca = caOf(directory, cas)?.name;
  const uses = new Map<string, number>();
  for (const { candidate } of scanned)
    if (candidate?.account !== undefined && caOf(candidate.directory, cas)?.name === ca)
      uses.set(candidate.account, (uses.get(candidate.account) ?? 0) + 1);
  return [...uses].sort((a, b) => b[1] - a[1])[0]?.[0];
}

async function takeChunk(
  deps: AdoptDeps,
  request: AdoptRequest,
  chunk: readonly Scanned[],
  putter: Putter | undefined,
): Promise<void> {
  const records = await deps.present.records(chunk.map(({ candidate }) => candidate?.id ?? ""));
  const put: CertificateRecord[] = [];
  for (let from = 0; from < chunk.length; from += AT_ONCE)
    await Promise.all(
      chunk.slice(from, from + AT_ONCE).map(async (one, index) => {
        const record = await orRefused(one.result, () =>
          takeOne(deps, request, one, records[from + index], putter),
        );
        if (record) put.push(record);
      }),
    );
  await putter?.advance(put);
}

async function takeOne(
  deps: AdoptDeps,
  { force }: AdoptRequest,
  { candidate, result }: Scanned,
  record: CertificateRecord | undefined,
  putter: Putter | undefined,
): Promise<CertificateRecord | undefined> {
  if (!candidate) return undefined;
  const file = record === undefined ? await deps.present.file(candidate.id) : undefined;
  const verdict = judge(candidate, record, file, force);
  if (verdict.kind === "there" || verdict.kind === "kept") {
    result.action = verdict.kind;
    result.detail = verdict.why;
    return undefined;
  }
  result.action = "adopt";
  // Read again: of many, the PEMs are not kept, and the other client may have renewed it meanwhile.
  return putter && (await putter.put({ ...(await takeUp(deps, candidate)), verdict }));
}
