import type { ComponentChildren } from "preact";
import type { Problem } from "../data/ask.ts";
import { dateTime, relative } from "../format.ts";
import type { Tone } from "./status.tsx";

/** A moment: how far away it is, and the date for who asks. */
export function Time({ at, absolute = false }: { at: string; absolute?: boolean }) {
  const [shown, title] = absolute ? [dateTime(at), relative(at)] : [relative(at), dateTime(at)];
  return (
    <time dateTime={at} title={title}>
      {shown}
    </time>
  );
}

export function Card({
  title,
  aside,
  children,
}: {
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) {
  const id = `card-${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  return (
    <section class="card" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

export function Notice({
  tone,
  title,
  children,
}: {
  tone: Tone;
  title: string;
  children?: ComponentChildren;
}) {
  return (
    <div class={`notice tone-${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** What went wrong with a request, and each field of it. */
export function ProblemNotice({ problem }: { problem: Problem | undefined }) {
  if (!problem) return null;
  return (
    <Notice tone="bad" title={problem.message}>
      {problem.errors.map(({ field, value, reason }) => (
        <p key={`${field} ${value}`}>
          <code>{field}</code> {value && <span class="mono">“{value}”</span>}: {reason}
        </p>
      ))}
    </Notice>
  );
}

/** Holds a table that may be wider than the page: it can be moved by the keyboard, too. */
export function TableFrame({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what can be scrolled has to be reached (WCAG 2.1.1).
    <section class="table-wrap" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}

/** While nothing is there yet. Says so to screen readers, and shows it only to those who wait long enough to notice. */
export function Loading({ what }: { what: string }) {
  return (
    <p class="loading soft" role="status">
      {what} is on its way…
    </p>
  );
}

/** Leads on to the next page of a list that grows; nothing behind the last one. */
export function OlderButton({ goOn }: { goOn: (() => Promise<void>) | undefined }) {
  if (!goOn) return null;
  return (
    <div>
      <button type="button" class="button" onClick={() => void goOn()}>
        Show older ones
      </button>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      <div class="soft">{children}</div>
    </div>
  );
}

/** How much of something is used; `label` is read out, too. */
export function Meter({
  label,
  value,
  max,
  tone,
  children,
}: {
  label: string;
  value: number;
  max: number;
  tone?: Tone;
  children?: ComponentChildren;
}) {
  return (
    <div class={`meter ${tone === undefined ? "" : `tone-${tone}`}`}>
      {children}
      <progress class="meter-track" value={value} max={max} aria-label={label}>
        {value} of {max}
      </progress>
    </div>
  );
}
