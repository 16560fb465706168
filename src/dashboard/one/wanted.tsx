import type { CertificateDetail } from "../../api/schemas/certificates.ts";
import { Notice, Time } from "../ui/parts.tsx";
import { RecordsTable } from "../ui/records.tsx";
import { STATUS } from "../ui/status.tsx";

/** What is in its way, in whose words, and what to do about it. */
export function Wanted({ one }: { one: CertificateDetail }) {
  const { status, detail, error, todo, until, doneBy } = one;
  if (detail === undefined && todo === undefined && until === undefined) return null;
  if (status === "serving" && todo === undefined) return null;
  return (
    <Notice tone={STATUS[status].tone} title={detail ?? STATUS[status].label}>
      {todo !== undefined && todo !== detail && (
        <p>
          <strong class="plain-ink">What to do:</strong> {todo}
        </p>
      )}
      {error !== undefined && error.detail !== detail && (
        <p>
          <span class="soft">{error.type.startsWith("urn:ietf") ? "In the CA’s words: " : "In full: "}</span>
          {error.detail}
        </p>
      )}
      {error?.url !== undefined && (
        <p>
          <a href={error.url} rel="noreferrer noopener" target="_blank">
            {error.url}
          </a>
        </p>
      )}
      {error?.records !== undefined && error.records.length > 0 && <RecordsTable records={error.records} />}
      {until !== undefined && (
        <p class="small">
          It goes on by itself <Time at={until} />
          {doneBy !== undefined && (
            <>
              , and should be done <Time at={doneBy} />
            </>
          )}
          .
        </p>
      )}
      {error !== undefined && (
        <p class="small soft">
          <code>{error.code}</code>
          {error.type.startsWith("urn:ietf") && (
            <>
              {" "}
              · <code>{error.type}</code>
            </>
          )}
        </p>
      )}
    </Notice>
  );
}
