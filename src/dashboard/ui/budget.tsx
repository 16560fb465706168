import type { Bucket } from "../../api/schemas/limits.ts";
import { count, duration, number } from "../format.ts";
import { Meter, Time } from "./parts.tsx";
import type { Tone } from "./status.tsx";

/** The CA's limits as people call them. */
export const LIMIT: Readonly<Record<string, string>> = {
  newOrders: "New orders",
  certificatesPerDomain: "Certificates per registered domain",
  certificatesPerNameSet: "Certificates for the same names",
  failedAuthorizations: "Failed validations",
  newRegistrations: "New accounts",
  consecutiveFailures: "Failures in a row",
};

/** One bucket: how much of it is used, when there is more, and who waits. */
export function BudgetMeter({ bucket, ca }: { bucket: Bucket; ca?: string }) {
  const { limit, key, burst, used, remaining, nextAt, waits, every, clearsAt } = bucket;
  const title = LIMIT[limit] ?? limit;
  const subject = key === ca ? ca : ca === undefined ? key : `${key} at ${ca}`;
  return (
    <Meter label={`${title}, ${key}: used`} value={used} max={burst} tone={toneOf(bucket)}>
      <div class="spread">
        <span>
          {title} <span class="soft">{subject}</span>
        </span>
        <span class="number">
          {number(Math.floor(remaining))} of {number(burst)} left
        </span>
      </div>
      <p class="small soft">
        {every !== undefined && <>One more every {duration(every * 1_000)}. </>}
        {remaining < 1 && (
          <>
            The next one <Time at={nextAt} />.{" "}
          </>
        )}
        {waits > 0 && (
          <strong class="wait-ink">{count(waits, "certificate waits", "certificates wait")}</strong>
        )}
        {waits > 0 && clearsAt !== undefined && (
          <>
            , the last one until <Time at={clearsAt} absolute />
          </>
        )}
      </p>
    </Meter>
  );
}

function toneOf({ remaining, waits, burst }: Bucket): Tone {
  if (remaining < 1) return waits > 0 ? "wait" : "idle";
  return remaining / burst < 0.1 ? "wait" : "good";
}
