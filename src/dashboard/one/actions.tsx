import { useState } from "preact/hooks";
import type { RevocationReason } from "../../api/schemas/actions.ts";
import type { CertificateDetail } from "../../api/schemas/certificates.ts";
import { ask, asProblem, type Problem } from "../data/ask.ts";
import type { BulkAction } from "../data/certificates.ts";
import { useMayDo } from "../data/session.tsx";
import { ActionButtons } from "../list/action-buttons.tsx";
import { BulkDialog } from "../list/bulk-dialog.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { ProblemNotice } from "../ui/parts.tsx";

interface Props {
  one: CertificateDetail;
  onDone: () => void;
}

/** What makes sense for it as it stands. */
export function Actions({ one, onDone }: Props) {
  const [action, setAction] = useState<BulkAction | "revoke">();
  const mayEnqueue = useMayDo("enqueue");
  const isAdmin = useMayDo("admin");
  if (!mayEnqueue || one.status === "removed") return null;
  const close = (changed: boolean): void => {
    setAction(undefined);
    if (changed) onDone();
  };
  return (
    <div class="row">
      <ActionButtons fits={(name) => fits(name, one)} onChoose={setAction} />
      {isAdmin && one.serial !== undefined && one.revokedAt === undefined && (
        <button type="button" class="button danger" onClick={() => setAction("revoke")}>
          Revoke
        </button>
      )}
      {action === "revoke" && <Revocation one={one} onClose={close} />}
      {action !== undefined && action !== "revoke" && (
        <BulkDialog action={action} names={[one.name]} onClose={close} />
      )}
    </div>
  );
}

function fits(action: BulkAction, { status, serial, reason }: CertificateDetail): boolean {
  switch (action) {
    case "retry":
      return status === "attention" || (status === "waiting" && reason !== "limit");
    case "renew":
      return serial !== undefined && (status === "serving" || status === "issued");
    case "pause":
      return status !== "paused";
    case "resume":
      return status === "paused";
    case "remove":
      return true;
  }
}

/** As RFC 5280 has them, in words. */
const REASONS = {
  unspecified: "No reason given",
  keyCompromise: "The private key is known to others",
  superseded: "Another certificate has taken its place",
  affiliationChanged: "The names have gone to somebody else",
  cessationOfOperation: "The names are not in use any more",
} as const satisfies Record<RevocationReason, string>;

function Revocation({ one, onClose }: { one: CertificateDetail; onClose: (changed: boolean) => void }) {
  const [reason, setReason] = useState<string>("unspecified");
  const [replace, setReplace] = useState(true);
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const go = async (): Promise<void> => {
    setBusy(true);
    try {
      const path = `/v1/certificates/${encodeURIComponent(one.name)}/revoke`;
      await ask(path, { json: { reason, replace } });
      onClose(true);
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={`Revoke the certificate of ${one.name}?`}
      onClose={() => onClose(false)}
      actions={
        <>
          <button type="button" class="button" onClick={() => onClose(false)}>
            Cancel
          </button>
          <button type="button" class="button danger" disabled={busy} onClick={() => void go()}>
            Revoke {one.serial?.slice(0, 8)}…
          </button>
        </>
      }
    >
      <p>The CA is told that this certificate is not to be trusted any more. That cannot be taken back.</p>
      <label class="field">
        <span>Why</span>
        <select class="input" value={reason} onChange={({ currentTarget }) => setReason(currentTarget.value)}>
          {Object.entries(REASONS).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <label class="row">
        <input
          type="checkbox"
          checked={replace}
          onChange={({ currentTarget }) => setReplace(currentTarget.checked)}
        />
        Order another one, with a new key, at once
      </label>
      <ProblemNotice problem={problem} />
    </Dialog>
  );
}
