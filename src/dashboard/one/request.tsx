import { Link } from "wouter-preact";
import type { CertificateDetail } from "../../api/schemas/certificates.ts";
import { Card } from "../ui/parts.tsx";

/** What was asked for. */
export function Request({ one }: { one: CertificateDetail }) {
  const { names, ca, profile, keyType, challenge, vipPort, acmePort, priority, mail, attempts } = one;
  return (
    <Card title="What was asked for">
      <dl class="facts">
        <dt>{names.length === 1 ? "Name" : `${names.length} names`}</dt>
        <dd class="names">{names.join(", ")}</dd>
        {ca !== undefined && (
          <>
            <dt>CA</dt>
            <dd>
              {ca}
              {profile !== undefined && `, profile ${profile}`}
            </dd>
          </>
        )}
        <dt>Key and challenge</dt>
        <dd>
          {keyType}, {challenge}
        </dd>
        <dt>Ports</dt>
        <dd>
          VIP {vipPort}, ACME {acmePort}
        </dd>
        <dt>Priority</dt>
        <dd>{priority}</dd>
        <dt>Mail</dt>
        <dd>{mail === undefined ? "none" : `to ${mail.to} through ${mail.relay}:${mail.port}`}</dd>
        {one.import !== undefined && (
          <>
            <dt>Import</dt>
            <dd>
              <Link href={`/imports/${encodeURIComponent(one.import)}`}>{one.import}</Link>
            </dd>
          </>
        )}
        {attempts > 0 && (
          <>
            <dt>Failed attempts</dt>
            <dd>{attempts} in a row</dd>
          </>
        )}
      </dl>
    </Card>
  );
}
