/** What an import will do, in sentences, before it does it. */
import { count, number, relative } from "../format.ts";
import { type Checked, type Draft, toDo } from "./draft.ts";

/** Addresses named; of the others, how many there are. */
const NAMED = 5;

export function sentences(draft: Draft, checked: Checked, firstCa: string, now = Date.now()): string[] {
  const { updated, duplicates, unchanged, rejected, plan, edits } = checked;
  const leftOut = [...edits.values()].filter(({ out }) => out).length;
  return [
    ...orders(checked, firstCa),
    ...(updated > 0
      ? [
          `${count(updated, "certificate that is there gets its", "certificates that are there get their")} new values.`,
        ]
      : []),
    ...(plan.finishesAt !== null && plan.orders > 0
      ? [`All that can be ordered should be done ${relative(plan.finishesAt, now)}.`]
      : []),
    names(draft),
    ...waiting(draft),
    mails(draft, checked),
    ...(unchanged - updated > 0
      ? [
          `${count(unchanged - updated, "row asks", "rows ask")} for what is there already, and ${unchanged - updated === 1 ? "changes" : "change"} nothing.`,
        ]
      : []),
    ...(duplicates > 0
      ? [
          `${count(duplicates, "row stands", "rows stand")} there again, and ${duplicates === 1 ? "counts" : "count"} once.`,
        ]
      : []),
    ...(rejected > 0
      ? [
          `${count(rejected, "row has a fault and is", "rows have faults and are")} not taken in; ${rejected === 1 ? "it" : "they"} can be downloaded afterwards, mended, and imported again.`,
        ]
      : []),
    ...(leftOut > 0 ? [`${count(leftOut, "row is", "rows are")} left out, as you said.`] : []),
  ].filter((sentence) => sentence !== "");
}

function orders({ accepted, plan, byCa, retried }: Checked, firstCa: string): string[] {
  const cas = [...(byCa.size > 0 ? byCa : new Map([[firstCa, plan.orders]]))];
  const ordered =
    plan.orders === 0
      ? []
      : cas.map(([ca, n]) => `${count(n, "certificate is", "certificates are")} ordered at ${ca}.`);
  const others = accepted - plan.orders;
  return [
    ...ordered,
    ...(others > 0
      ? [`${count(others, "certificate is", "certificates are")} there already, and deployed.`]
      : []),
    ...(retried > 0 ? [`${number(retried)} of them had failed or waited, and are tried again now.`] : []),
  ];
}

function names({ triage }: Draft): string {
  if (triage === undefined)
    return "The names were not checked: those that do not lead here wait, or are refused by the CA.";
  return triage.ready === triage.certificates ? "All names lead here." : "";
}

function waiting({ triage }: Draft): string[] {
  if (triage === undefined) return [];
  const { customer, node, blocked } = triage;
  return [
    ...(customer > 0
      ? [
          `${count(customer, "certificate waits", "certificates wait")} for the owner of the domain, and ${customer === 1 ? "is" : "are"} ordered as soon as the DNS is right.`,
        ]
      : []),
    ...(node > 0
      ? [
          `${count(node, "certificate waits", "certificates wait")} until this host, or its way out, is mended.`,
        ]
      : []),
    ...(blocked > 0
      ? [
          `${count(blocked, "certificate needs", "certificates need")} somebody here to act, and ${blocked === 1 ? "is" : "are"} listed as such.`,
        ]
      : []),
  ];
}

function mails({ notify }: Draft, { survey: { mailTo } }: Checked): string {
  if (mailTo.size === 0) return "No row asks for mail.";
  if (notify === "off") return "No mail is sent, though rows ask for it.";
  const all = [...mailTo.keys()];
  const more = all.length > NAMED ? ` and ${count(all.length - NAMED, "address", "addresses")} more` : "";
  const how =
    notify === "each"
      ? "One mail for each certificate goes"
      : notify === "digest"
        ? "One mail when all is settled goes"
        : "Mail goes, as configured,";
  return `${how} to ${all.slice(0, NAMED).join(", ")}${more}.`;
}

export function importLabel(checked: Checked): string {
  const what = `Import ${count(toDo(checked), "certificate")}`;
  return checked.rejected === 0 ? what : `${what}, leave ${count(checked.rejected, "row")} out`;
}
