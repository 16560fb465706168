import type { CertificateDetail } from "../../api/schemas/certificates.ts";
import { duration } from "../format.ts";
import { Card, Time } from "../ui/parts.tsx";
import { STATUS, type Status } from "../ui/status.tsx";

const WAY: readonly Status[] = [
  "queued",
  "checking",
  "ordering",
  "validating",
  "finalizing",
  "issued",
  "deploying",
  "serving",
];

type Place = "past" | "here" | "stopped" | "held" | "ahead";

/** For those who do not see it. */
const PLACE: Readonly<Record<Place, string>> = {
  past: ", done",
  here: ", at the moment",
  stopped: ", where it was stopped",
  held: ", where it waits",
  ahead: ", still to come",
};

/** Its way through the stages, with the moment at which it came to each. */
export function Way({ one }: { one: CertificateDetail }) {
  const arrivals = new Map(one.steps.map(({ status, at }) => [status, at]));
  const stages = WAY.filter((status) => one.nodes.length > 0 || !["deploying", "serving"].includes(status));
  const reached = Math.max(...stages.map((status, index) => (arrivals.has(status) ? index : -1)));
  const at = stages.indexOf(one.status);
  const here = at >= 0 ? at : reached;
  const isDone = one.status === stages.at(-1);
  const placeOf = (index: number): Place => {
    if (index < here || (isDone && index === here)) return "past";
    if (index > here) return "ahead";
    if (at >= 0) return "here";
    return one.status === "attention" ? "stopped" : "held";
  };
  return (
    <Card title="Its way" aside={<Total one={one} isDone={isDone} />}>
      <ol class="plain way">
        {stages.map((status, index) => {
          const place = placeOf(index);
          const arrived = arrivals.get(status);
          return (
            <li
              key={status}
              class={`way-step way-${place}`}
              aria-current={place === "here" ? "step" : undefined}
            >
              <span class="way-dot" aria-hidden="true" />
              <span>
                {STATUS[status].label}
                <span class="hidden-but-read">{PLACE[place]}</span>
              </span>
              <span class="small soft">{arrived !== undefined && <Time at={arrived} absolute />}</span>
            </li>
          );
        })}
      </ol>
    </Card>
  );
}

function Total({ one, isDone }: { one: CertificateDetail; isDone: boolean }) {
  const end = one.steps.findLast(({ status }) => status === one.status)?.at;
  const start = Date.parse(one.acceptedAt);
  return (
    <span class="small soft">
      asked for <Time at={one.acceptedAt} absolute />
      {isDone &&
        end !== undefined &&
        Date.parse(end) > start &&
        `, done after ${duration(Date.parse(end) - start)}`}
    </span>
  );
}
