import type { CertificateRecord } from "../core/certificate.ts";
import { type Clock, rfc3339 } from "../core/clock.ts";
import { grouped } from "../core/grouped.ts";
import type { Incident, Incidents } from "../store/incidents.ts";

export interface IncidentDeps {
  clock: Clock;
  incidents: Incidents;
  /** All certificates, of whatever CA. */
  total(): Promise<number>;
  /** When what is queued now will be done, milliseconds since the epoch; undefined when it is not known. */
  doneBy(): Promise<number | undefined>;
  /** Tells a person, with one of the certificates in hand. */
  tell(id: string, title: string, detail: string): Promise<void>;
}

/** Notes what a CA wants replaced long before its time. `asked`: all of which the CAs were asked in this turn. */
export async function noteEarly(
  { clock, incidents }: Pick<IncidentDeps, "clock" | "incidents">,
  early: readonly CertificateRecord[],
  asked: readonly CertificateRecord[],
): Promise<void> {
  const caOf = ({ leaf }: CertificateRecord): string => leaf?.ca ?? "";
  const affected = grouped(early, caOf);
  for (const [ca, records] of grouped(asked, caOf)) {
    const ids = (affected.get(ca) ?? []).map(({ id }) => id);
    await incidents.note(ca, ids, records.length, clock.now());
  }
}

/** One mail for each incident: how many certificates, and until when they are renewed. */
export async function tellOfIncidents(deps: IncidentDeps, cas: readonly string[]): Promise<void> {
  for (const ca of cas) {
    const incident = await deps.incidents.due(ca, deps.clock.now());
    if (!incident) continue;
    const [total, doneBy] = await Promise.all([deps.total(), deps.doneBy()]);
    const title = `${ca} wants ${incident.count} certificates replaced now`;
    await deps.tell(incident.first, title, words(ca, incident, total, doneBy));
    await deps.incidents.told(ca, incident);
  }
}

function words(ca: string, incident: Incident, total: number, doneBy: number | undefined): string {
  const { count, asked, since } = incident;
  const until = doneBy === undefined ? "as fast as its limits allow" : `by ${rfc3339(doneBy)}`;
  return [
    `Since ${rfc3339(since)} ${ca} suggests for ${count} certificates, of ${asked} that it has been asked about so far, that they be renewed long before their time, as it does before it revokes them. There are ${total} in all.`,
    `They go before all other renewals, and are renewed ${until}. The others are asked about as often as the CA allows; there is another mail if they become ten times as many.`,
    "certherd list shows when each is renewed, and certherd show NAME why.",
  ].join("\n\n");
}
