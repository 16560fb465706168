import type { CertificateDetail } from "../../api/schemas/certificates.ts";
import { Card, Empty, TableFrame, Time } from "../ui/parts.tsx";

/** The certificate that is there, and when the next one is. */
export function Leaf({ one }: { one: CertificateDetail }) {
  const { serial, notBefore, notAfter, issuer, revokedAt, renewal, suggested } = one;
  if (serial === undefined || notBefore === undefined || notAfter === undefined)
    return (
      <Card title="Certificate">
        <Empty title="None has been issued yet." />
      </Card>
    );
  return (
    <Card title="Certificate">
      <dl class="facts">
        <dt>Ends</dt>
        <dd>
          <Time at={notAfter} /> (<Time at={notAfter} absolute />)
        </dd>
        <dt>Valid from</dt>
        <dd>
          <Time at={notBefore} absolute />
        </dd>
        <dt>Issuer</dt>
        <dd>{issuer}</dd>
        <dt>Serial</dt>
        <dd class="mono">{serial}</dd>
        {revokedAt !== undefined && (
          <>
            <dt>Revoked</dt>
            <dd class="bad-ink">
              <Time at={revokedAt} absolute />
            </dd>
          </>
        )}
        {renewal !== undefined && (
          <>
            <dt>Next renewal</dt>
            <dd>
              <Time at={renewal.at} /> (<Time at={renewal.at} absolute />)
              <p class="small soft">{renewal.why}</p>
              {suggested?.explanationUrl !== undefined && (
                <a class="small" href={suggested.explanationUrl} rel="noreferrer noopener" target="_blank">
                  What the CA says about it
                </a>
              )}
            </dd>
          </>
        )}
      </dl>
    </Card>
  );
}

export function Chain({ one: { chain } }: { one: CertificateDetail }) {
  if (chain.length === 0) return null;
  return (
    <Card title="Chain">
      <TableFrame label="The chain, leaf first">
        <table class="small">
          <thead>
            <tr>
              <th scope="col">Subject</th>
              <th scope="col">Issuer</th>
              <th scope="col">Serial</th>
              <th scope="col">Ends</th>
            </tr>
          </thead>
          <tbody>
            {chain.map(({ subject, issuer, serial, notAfter }) => (
              <tr key={serial}>
                <th scope="row">{subject === "" ? <em>none, the names say it all</em> : subject}</th>
                <td>{issuer}</td>
                <td class="mono">{serial}</td>
                <td>
                  <Time at={notAfter} absolute />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </Card>
  );
}
