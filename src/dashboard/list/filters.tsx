import { useEffect, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { ListQuery } from "../data/certificates.ts";
import { REASON, STATUS, STATUS_LIST } from "../ui/status.tsx";

/** Milliseconds after the last key. */
const PAUSE = 200;

interface FilterProps {
  query: ListQuery;
  change: (changes: ListQuery, replace?: boolean) => void;
}

/** What of the list is shown. */
export function Filters({ query, change }: FilterProps) {
  return (
    <search class="row filters">
      <Search value={query.q ?? ""} onChange={(q) => change({ q }, true)} />
      <label class="field">
        <span>Status</span>
        <select
          class="input"
          value={query.status ?? ""}
          onChange={({ currentTarget }) => change({ status: currentTarget.value, reason: "" })}
        >
          <option value="">All</option>
          {STATUS_LIST.map((status) => (
            <option key={status} value={status}>
              {STATUS[status].label}
            </option>
          ))}
        </select>
      </label>
      {query.status === "waiting" && (
        <label class="field">
          <span>Waiting for</span>
          <select
            class="input"
            value={query.reason ?? ""}
            onChange={({ currentTarget }) => change({ reason: currentTarget.value })}
          >
            <option value="">anything</option>
            {Object.entries(REASON).map(([reason, words]) => (
              <option key={reason} value={reason}>
                {words}
              </option>
            ))}
          </select>
        </label>
      )}
      {query.import !== undefined && (
        <p class="row">
          <span>
            Of <Link href={`/imports/${encodeURIComponent(query.import)}`}>one import</Link>
          </span>
          <button type="button" class="button quiet" onClick={() => change({ import: "" })}>
            Show those of all
          </button>
        </p>
      )}
    </search>
  );
}

function Search({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const [text, setText] = useState(value);
  // Gone back to another address, it is that one's.
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => onChange(text.trim()), PAUSE);
    return () => clearTimeout(timer);
  }, [text, value, onChange]);
  return (
    <label class="field search">
      <span>Search names</span>
      <input
        class="input"
        type="search"
        value={text}
        maxLength={253}
        placeholder="shop.example"
        autoComplete="off"
        spellcheck={false}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
      />
    </label>
  );
}
