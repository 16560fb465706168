import { useEffect, useState } from "preact/hooks";
import type { CertificateShown } from "../../api/schemas/certificates.ts";
import { Problem } from "../data/ask.ts";
import { type BulkAction, type ListQuery, namesOf } from "../data/certificates.ts";
import { useMayDo } from "../data/session.tsx";
import { count, number } from "../format.ts";
import { ProblemNotice } from "../ui/parts.tsx";
import { ActionButtons } from "./action-buttons.tsx";
import { BulkDialog } from "./bulk-dialog.tsx";

interface BarProps {
  query: ListQuery;
  page: readonly CertificateShown[];
  chosen: ReadonlySet<string>;
  choose: (names: ReadonlySet<string>) => void;
  onDone: () => void;
}

/** What can be done with those that were chosen. */
export function BulkBar({ query, page, chosen, choose, onDone }: BarProps) {
  const [action, setAction] = useState<BulkAction>();
  const mayEnqueue = useMayDo("enqueue");
  if (!mayEnqueue || (chosen.size === 0 && page.length === 0)) return null;
  const wholePage = page.length > 0 && page.every(({ name }) => chosen.has(name));
  return (
    <fieldset class="bulk">
      <legend class="hidden-but-read">With those chosen</legend>
      <p role="status" class="bulk-count">
        {chosen.size === 0 ? (
          <span class="soft">Choose certificates to act on several at once.</span>
        ) : (
          <strong>{number(chosen.size)} chosen</strong>
        )}
      </p>
      {chosen.size > 0 && (
        <>
          <ActionButtons onChoose={setAction} />
          <button type="button" class="button quiet" onClick={() => choose(new Set())}>
            Choose none
          </button>
        </>
      )}
      {wholePage && <AllMatching query={query} chosen={chosen} choose={choose} />}
      {action !== undefined && (
        <BulkDialog
          action={action}
          names={[...chosen]}
          onClose={(changed) => {
            setAction(undefined);
            if (!changed) return;
            choose(new Set());
            onDone();
          }}
        />
      )}
    </fieldset>
  );
}

/** Beyond this page: the names of all that the filter finds. */
function AllMatching({ query, chosen, choose }: Pick<BarProps, "query" | "chosen" | "choose">) {
  const [found, setFound] = useState<number>();
  const [problem, setProblem] = useState<Problem>();
  const [partly, setPartly] = useState(false);
  const [leaving] = useState(() => new AbortController());
  useEffect(() => () => leaving.abort(), [leaving]);
  const chooseAll = async (): Promise<void> => {
    setFound(0);
    setProblem(undefined);
    try {
      const { names, all } = await namesOf(query, leaving.signal, setFound);
      setPartly(!all);
      choose(new Set(names));
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
    } finally {
      setFound(undefined);
    }
  };
  return (
    <>
      <button
        type="button"
        class="button quiet"
        disabled={found !== undefined}
        onClick={() => void chooseAll()}
      >
        {found === undefined ? "Choose all that match" : `${count(found, "certificate")} so far…`}
      </button>
      {partly && <span class="small soft">These are the first {number(chosen.size)}; there are more.</span>}
      <ProblemNotice problem={problem} />
    </>
  );
}
