import type { CertificateRecord } from "../core/certificate.ts";
import { humanDuration } from "../core/duration.ts";
import type { Obtained } from "./ports.ts";

/** Certificates named in one mail. */
const SHOWN = 50;

/** What a person is told of certificates that come near their end, and that nothing has renewed: each with the reason. */
export function expiryWarning(records: readonly Obtained[], now: number): { title: string; detail: string } {
  const soonest = Math.min(...records.map(({ leaf }) => leaf.notAfter)) - now;
  const when = soonest > 0 ? `ends in ${humanDuration(soonest)}` : "has ended";
  const [first] = records;
  const title =
    records.length === 1
      ? `${first?.spec.names[0]} ${when}, and is not renewed`
      : `${records.length} certificates are not renewed; the first of them ${when}`;
  const more = records.length > SHOWN ? [`… and ${records.length - SHOWN} more: certherd list`] : [];
  const each = records.slice(0, SHOWN).map((record) => {
    const end = new Date(record.leaf.notAfter).toUTCString();
    return `${record.spec.names[0]}, until ${end}: ${reasonOf(record)}`;
  });
  return { title, detail: [...each, ...more].join("\n\n") };
}

function reasonOf({ status, detail = "nothing is known of why.", spec }: CertificateRecord): string {
  const [name = ""] = spec.names;
  switch (status) {
    case "paused":
      return `it is paused, and its renewal with it. To go on: certherd resume ${name}`;
    case "attention":
      return `its renewal needs a person: ${detail} When that is mended: certherd retry ${name}`;
    case "waiting":
      return `its renewal waits: ${detail}`;
    case "issued":
    case "serving":
      return "its renewal was not begun; is a process with the role renew running? certherd doctor tells.";
    default:
      return `its renewal is on its way (${status}); is a process running that orders? certherd doctor tells.`;
  }
}
