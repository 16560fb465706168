import type { AdoptDocument, AdoptedCertificate } from "../adopt/document.ts";
import { grouped } from "../core/grouped.ts";
import { type Io, plain, print, table } from "./output.ts";

/** Names told of in one line; the rest is counted. */
const NAMES_SHOWN = 3;

/** What was, or would be, taken over, and what a person has left to do. */
export function reportAdoption(io: Io, document: AdoptDocument): void {
  const { source, dryRun, certificates, accounts } = document;
  if (certificates.length > 0 && dryRun) print(io, `${overview(certificates)}\n`);
  print(io, summary(document));
  for (const { ca, entry, action, url, error } of accounts)
    print(
      io,
      `Account at ${ca}: ${accountWords(action, dryRun)}${url ? ` (${url})` : ""}, ${entry}${error ? `: ${error.detail}` : "."}`,
    );
  // In a dry run the table has them.
  if (!dryRun) printReasons(io, certificates);
  printWarnings(io, certificates);
  if (document.counts.adopt + document.counts.there === 0) return;
  printAfterRenewal(io, document);
  print(io, `\nSo that ${source.kind} does not go on renewing, take out:`);
  for (const line of document.takeOut) print(io, `  ${line}`);
}

function overview(certificates: readonly AdoptedCertificate[]): string {
  const rows = certificates.map(({ name, names, ca, notAfter, keyType, action, detail, error }) => [
    name,
    String(names.length || "–"),
    ca ?? "–",
    notAfter?.slice(0, 10) ?? "–",
    keyType ?? "–",
    `${WORDS[action]}${detail || error ? `: ${detail ?? error?.detail}` : ""}`,
  ]);
  return table(["NAME", "NAMES", "CA", "EXPIRES", "KEY", "WHAT HAPPENS"], rows);
}

const WORDS: Record<AdoptedCertificate["action"], string> = {
  adopt: "taken over",
  there: "there",
  kept: "ours is kept",
  left: "left out",
  refused: "not taken over",
};

function summary({ source, dryRun, counts, certificates }: AdoptDocument): string {
  const parts = [
    `${counts.adopt} ${dryRun ? "would be taken over" : "taken over"}`,
    ...(counts.there ? [`${counts.there} there already`] : []),
    ...(counts.kept ? [`${counts.kept} with an older one of ours, which is kept`] : []),
    ...(counts.left ? [`${counts.left} left out`] : []),
    ...(counts.refused ? [`${counts.refused} cannot be taken over`] : []),
  ];
  return `${source.kind} at ${source.path}, ${certificates.length} certificates: ${parts.join(", ")}.`;
}

function accountWords(action: AdoptDocument["accounts"][number]["action"], dryRun: boolean): string {
  switch (action) {
    case "adopt":
      return dryRun ? "would be taken over" : "taken over";
    case "there":
      return "there already";
    case "kept":
      return "there already; ours is kept, and theirs is not used";
    case "refused":
      return "not taken over";
  }
}

function printReasons(io: Io, certificates: readonly AdoptedCertificate[]): void {
  for (const { name, action, detail, error } of certificates)
    if (action !== "adopt" && action !== "there")
      print(io, `  ${plain(name)}: ${WORDS[action]}: ${plain(detail ?? error?.detail ?? "")}`);
}

/** The same sentence for many is said once. */
function printWarnings(io: Io, certificates: readonly AdoptedCertificate[]): void {
  const all = certificates
    .filter(({ action }) => action === "adopt" || action === "there")
    .flatMap(({ name, warnings }) => warnings.map(({ sentence }) => ({ name, sentence })));
  for (const [sentence, of] of grouped(all, (warning) => warning.sentence))
    print(io, `Note, ${namesIn(of)}: ${plain(sentence)}`);
}

/** What the other client did and nobody does any more, in its own words. */
function printAfterRenewal(io: Io, { source, certificates }: AdoptDocument): void {
  // Of an RSA twin that is left out, too: it served somebody.
  const taken = certificates.filter(({ action }) => action !== "refused" && action !== "kept");
  const commands = taken.flatMap(({ name, afterRenewal }) =>
    (afterRenewal?.commands ?? []).map(({ what, command }) => ({ name, text: `${what}: ${command}` })),
  );
  const copies = taken.flatMap(({ name, afterRenewal }) =>
    (afterRenewal?.copies ?? []).map(({ what, path }) => ({ name, what, path })),
  );
  if (commands.length + copies.length === 0) return;
  print(
    io,
    `\n${source.kind} did this after a renewal. Make targets of it in terminations (docs/deploy-targets.md: command, files, haproxy, …):`,
  );
  for (const [text, of] of grouped(commands, (entry) => entry.text))
    print(io, `  ${plain(text)}  (${namesIn(of)})`);
  for (const [what, of] of grouped(copies, (entry) => entry.what))
    print(
      io,
      `  ${what}: ${plain(of[0]?.path ?? "")}${of.length > 1 ? " and others" : ""}  (${namesIn(of)})`,
    );
}

function namesIn(entries: readonly { name: string }[]): string {
  const names = [...new Set(entries.map(({ name }) => plain(name)))];
  const more = names.length - NAMES_SHOWN;
  return `${names.slice(0, NAMES_SHOWN).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
