import type { CertificateDetail } from "../../api/schemas/certificates.ts";
import { Card, Empty, Time } from "../ui/parts.tsx";
import { Table } from "../ui/table.tsx";

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
      <Table label="The chain, leaf first" columns={["Subject", "Issuer", "Serial", "Ends"]} class="small">
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
      </Table>
    </Card>
  );
}
