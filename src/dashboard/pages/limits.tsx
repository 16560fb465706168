import { useState } from "preact/hooks";
import type { Limits } from "../../api/schemas/limits.ts";
import { useData } from "../data/use-data.ts";
import { count, number } from "../format.ts";
import { BudgetMeter } from "../ui/budget.tsx";
import { Card, Empty, Loading, Notice, ProblemNotice, Time } from "../ui/parts.tsx";

/** Milliseconds between two looks: counting all of them costs a walk. */
const EVERY = 30_000;
/** Buckets shown of one account until more are asked for. */
const SHOWN = 30;

export function LimitsPage() {
  const { data, problem } = useData<Limits>("/v1/limits", { every: EVERY });
  return (
    <>
      <div class="head">
        <h1>Limits</h1>
      </div>
      <p class="soft">
        What each CA allows, counted as the CA counts it. Only what is in use, or waited for, is listed.
      </p>
      <ProblemNotice problem={problem} />
      {data
        ? data.accounts.map((account) => <Account key={account.ca} account={account} />)
        : !problem && <Loading what="The list of limits" />}
    </>
  );
}

function Account({
  account: { ca, account, stopped, paused, buckets },
}: {
  account: Limits["accounts"][number];
}) {
  const [shown, setShown] = useState(SHOWN);
  const waiting = buckets.reduce((sum, { waits }) => sum + waits, 0);
  return (
    <Card title={ca} aside={<span class="small soft mono">{account ?? "not registered yet"}</span>}>
      {stopped !== undefined && <Notice tone="bad" title={stopped} />}
      {paused !== undefined && (
        <Notice tone="wait" title={`Held back after ${count(paused.failures, "failure")} in a row`}>
          <p>
            {paused.detail} The next try is <Time at={paused.nextTryAt} />.
          </p>
        </Notice>
      )}
      {buckets.length === 0 ? (
        <Empty title="Nothing of it is used up." />
      ) : (
        <>
          <p class="soft small">
            {count(buckets.length, "limit")} in use, {count(waiting, "certificate")} waiting.
          </p>
          <ul class="plain stack ruled">
            {buckets.slice(0, shown).map((bucket) => (
              <li key={`${bucket.limit} ${bucket.key}`}>
                <BudgetMeter bucket={bucket} ca={ca} />
                {bucket.waiting.length > 0 && (
                  <p class="small soft">
                    First in line: {bucket.waiting.join(", ")}
                    {bucket.waits > bucket.waiting.length &&
                      ` and ${number(bucket.waits - bucket.waiting.length)} more`}
                  </p>
                )}
              </li>
            ))}
          </ul>
          {buckets.length > shown && (
            <button type="button" class="button" onClick={() => setShown(shown * 4)}>
              Show more ({number(buckets.length - shown)})
            </button>
          )}
        </>
      )}
    </Card>
  );
}
