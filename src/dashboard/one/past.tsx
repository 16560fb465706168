import type { CertificateDetail } from "../../api/schemas/certificates.ts";
import { Card, Time } from "../ui/parts.tsx";

/** What has failed, newest first. */
export function Failures({ one: { failures } }: { one: CertificateDetail }) {
  if (failures.length === 0) return null;
  return (
    <Card title="Failed attempts">
      <ol class="plain stack">
        {failures.map(({ at, code, detail }) => (
          <li key={`${at} ${detail}`} class="past">
            <Time at={at} absolute />
            <span>
              {detail} {code !== undefined && <code class="soft">{code}</code>}
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}

/** Everything that has happened to it, and who asked for what, newest first. */
export function History({ one: { events, requests } }: { one: CertificateDetail }) {
  const asked = requests.map(({ at, by, action, detail }) => ({ at, what: action, detail, by }));
  const told = new Set(asked.map(({ at, what }) => `${at} ${what}`));
  const all = [...asked, ...events.filter(({ at, what }) => !told.has(`${at} ${what}`))].sort((a, b) =>
    b.at.localeCompare(a.at),
  );
  if (all.length === 0) return null;
  return (
    <Card title="History">
      <ol class="plain stack">
        {all.map(({ at, what, detail, by }) => (
          <li key={`${at} ${what} ${detail ?? ""}`} class="past">
            <Time at={at} absolute />
            <span>
              <strong>{what}</strong> {detail} {by !== undefined && <span class="soft">by {by}</span>}
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}
