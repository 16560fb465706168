import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import { Link, useSearchParams } from "wouter-preact";
import { type ListQuery, loadPage } from "../data/certificates.ts";
import { useLoaded } from "../data/use-data.ts";
import { BulkBar } from "../list/bulk-bar.tsx";
import { Filters } from "../list/filters.tsx";
import { CertificateTable } from "../list/table.tsx";
import { Empty, Loading, ProblemNotice } from "../ui/parts.tsx";

/** Milliseconds between two looks when nothing happens. */
const EVERY = 20_000;

const FIELDS = ["q", "status", "reason", "import", "sort", "order", "cursor"] as const;

/** The list. All that was chosen stands in the address, so that it can be kept, sent, and gone back to. */
export function CertificatesPage() {
  const [parameters, setParameters] = useSearchParams();
  const key = parameters.toString();
  const query = useMemo((): ListQuery => {
    const from = new URLSearchParams(key);
    return Object.fromEntries(FIELDS.flatMap((field) => (from.get(field) ? [[field, from.get(field)]] : [])));
  }, [key]);
  const [seen, setSeen] = useState<ReadonlySet<string>>(new Set());
  const { data, problem, refresh } = useLoaded(`list ${key}`, (signal) => loadPage(query, signal), {
    every: EVERY,
    on: ({ name }) => seen.has(name),
  });
  useEffect(() => setSeen(new Set(data?.certificates.map(({ name }) => name))), [data]);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());

  const change = useCallback(
    (changes: ListQuery, replace = false): void => {
      setParameters(
        (before) => {
          const next = new URLSearchParams(before);
          // Another question begins at its first page.
          if (!("cursor" in changes)) next.delete("cursor");
          for (const [field, value] of Object.entries(changes))
            if (value) next.set(field, String(value));
            else next.delete(field);
          return next;
        },
        { replace },
      );
    },
    [setParameters],
  );

  return (
    <>
      <div class="head">
        <h1>Certificates</h1>
        <Link class="button" href="/imports/new">
          Import a CSV
        </Link>
      </div>
      <Filters query={query} change={change} />
      <BulkBar
        query={query}
        page={data?.certificates ?? []}
        chosen={chosen}
        choose={setChosen}
        onDone={refresh}
      />
      <ProblemNotice problem={problem} />
      {!data && !problem && <Loading what="The list" />}
      {data?.certificates.length === 0 && <Nothing query={query} />}
      {data && data.certificates.length > 0 && (
        <CertificateTable
          certificates={data.certificates}
          query={query}
          change={change}
          chosen={chosen}
          choose={setChosen}
        />
      )}
      <nav class="row" aria-label="Pages">
        {query.cursor !== undefined && (
          <>
            <button type="button" class="button" onClick={() => history.back()}>
              Back
            </button>
            <button type="button" class="button quiet" onClick={() => change({ cursor: "" })}>
              First page
            </button>
          </>
        )}
        {data?.next !== undefined && (
          <button type="button" class="button" onClick={() => change({ cursor: data.next ?? "" })}>
            Next page
          </button>
        )}
      </nav>
    </>
  );
}

function Nothing({ query }: { query: ListQuery }) {
  const filtered = Boolean(query.q || query.status || query.reason || query.import);
  if (query.sort && query.sort !== "name" && !filtered)
    return (
      <Empty title="None has been issued yet.">Sorted by name, those on their way are listed too.</Empty>
    );
  if (filtered)
    return (
      <Empty title="None is like that.">
        <Link href="/certificates">Show all of them</Link>
      </Empty>
    );
  return (
    <Empty title="There are none yet.">
      <Link href="/imports/new">Import a CSV</Link>
    </Empty>
  );
}
