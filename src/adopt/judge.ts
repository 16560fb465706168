import { type CertificateRecord, namesKey, type Status } from "../core/certificate.ts";
import { rfc3339 } from "../core/clock.ts";
import type { CertificateFile } from "../store/files.ts";
import type { Candidate } from "./choose.ts";
import { refuse } from "./found.ts";

/** What becomes of one that can be taken over. */
export type Verdict =
  /** `over`: a certificate of ours that has no leaf yet, or an older one. */
  | { kind: "adopt"; over?: CertificateRecord }
  /** Its files are here already, and only the index lacks it: somebody died in between. */
  | { kind: "index"; file: CertificateFile }
  | { kind: "there"; why: string }
  /** Ours is older, and stays unless somebody wants otherwise. */
  | { kind: "kept"; why: string };

/** Statuses in which nothing is on its way: no order is overtaken by another leaf. */
const AT_REST: readonly Status[] = ["issued", "serving", "attention"];

/** Goes by what the index and the files know of that certificate. What must not be touched is thrown. */
export function judge(
  candidate: Candidate,
  record: CertificateRecord | undefined,
  file: CertificateFile | undefined,
  force: boolean,
): Verdict {
  if (record === undefined) return judgeByFile(candidate, file);
  const { leaf, status, spec } = record;
  if (status === "removed")
    throw busy(
      "is being taken away from its nodes. Adopt it when `certherd list` does not show it any more.",
    );
  if (leaf && isCovered(candidate, leaf)) return { kind: "there", why: thereWords(leaf.notAfter) };
  if (namesKey(spec.names) !== namesKey(candidate.names))
    throw refuse(
      "adopt_other_names",
      `Certherd has a certificate of that first name with other names (${spec.names.join(" ")}). Import a row with all names that are wanted, or \`certherd remove\` ours first.`,
    );
  if (status === "paused") throw busy("is paused here. `certherd resume` it first, or `certherd remove` it.");
  if (!isAtRest(record)) throw busy(`is on its way here (${status}). Wait until it is done.`);
  if (leaf && !force)
    return {
      kind: "kept",
      why: `ours ends ${rfc3339(leaf.notAfter)}, which is older; --force takes this one`,
    };
  return { kind: "adopt", over: record };
}

function judgeByFile(candidate: Candidate, file: CertificateFile | undefined): Verdict {
  const leaf = file?.leaf;
  if (!file || !leaf) return { kind: "adopt" };
  if (leaf.serial === candidate.leaf.serial && AT_REST.concat("deploying").includes(file.status))
    return { kind: "index", file };
  if (isCovered(candidate, leaf))
    return {
      kind: "there",
      why: `${thereWords(leaf.notAfter)}, in its files; \`certherd reconcile\` puts it into the index`,
    };
  return { kind: "adopt" };
}

/** At least as new: what begins later was obtained later. */
function isCovered({ leaf }: Candidate, ours: { serial: string; notBefore: number }): boolean {
  return ours.serial === leaf.serial || ours.notBefore >= leaf.notBefore;
}

/** What has failed waits for its next try, which finds that there is nothing left to do. */
function isAtRest({ status, reason }: CertificateRecord): boolean {
  return AT_REST.includes(status) || (status === "waiting" && (reason === "retry" || reason === "customer"));
}

function thereWords(notAfter: number): string {
  return `there already, until ${rfc3339(notAfter)}`;
}

function busy(sentence: string): Error {
  return refuse("adopt_busy", `It ${sentence}`);
}
