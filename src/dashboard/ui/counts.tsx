import { number } from "../format.ts";

export interface Count {
  label: string;
  value: number;
  note?: string | undefined;
  /** Something to be mended, where it is not 0. */
  isBad?: boolean;
}

/** Figures beside each other, each with what it is of. */
export function Counts({ counts }: { counts: readonly Count[] }) {
  return (
    <dl class="counts">
      {counts.map(({ label, value, note, isBad }) => (
        <div key={label} class={isBad && value > 0 ? "tone-bad" : ""}>
          <dt>{label}</dt>
          <dd class="number">
            {number(value)} {note && <span class="small soft">{note}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}
