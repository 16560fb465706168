import {
  createColumnHelper,
  rowSelectionFeature,
  rowSortingFeature,
  tableFeatures,
  useTable,
} from "@tanstack/preact-table";
import { Link } from "wouter-preact";
import type { CertificateShown } from "../../api/schemas/certificates.ts";
import type { ListQuery } from "../data/certificates.ts";
import { count } from "../format.ts";
import { TableFrame, Time } from "../ui/parts.tsx";
import { StatusBadge } from "../ui/status.tsx";

const features = tableFeatures({ rowSelectionFeature, rowSortingFeature });
const helper = createColumnHelper<typeof features, CertificateShown>();

/** By what the API can sort. */
const SORTED = { name: "name", expires: "expires", renews: "renews" } as const;

const columns = helper.columns([
  helper.accessor("name", {
    id: SORTED.name,
    header: "Name",
    cell: ({ row: { original } }) => <Name certificate={original} />,
  }),
  helper.accessor("status", {
    id: "status",
    header: "Status",
    enableSorting: false,
    cell: ({ row: { original } }) => <Standing certificate={original} />,
  }),
  helper.accessor("notAfter", {
    id: SORTED.expires,
    header: "Ends",
    cell: ({ row: { original } }) => original.notAfter && <Time at={original.notAfter} />,
  }),
  helper.accessor("renewAt", {
    id: SORTED.renews,
    header: "Renewal",
    cell: ({ row: { original } }) => original.renewAt && <Time at={original.renewAt} />,
  }),
  helper.accessor("nodes", {
    id: "nodes",
    header: "Nodes",
    enableSorting: false,
    cell: ({ row: { original } }) => <Nodes certificate={original} />,
  }),
]);

interface TableProps {
  certificates: CertificateShown[];
  query: ListQuery;
  change: (changes: ListQuery) => void;
  chosen: ReadonlySet<string>;
  choose: (names: ReadonlySet<string>) => void;
}

/** One page of certificates. Sorted by the API, as nobody else sees them all. */
export function CertificateTable({ certificates, query, change, chosen, choose }: TableProps) {
  const sort = query.sort ?? SORTED.name;
  const descending = query.order === "desc";
  const table = useTable({
    features,
    columns,
    data: certificates,
    getRowId: ({ name }) => name,
    manualSorting: true,
    state: {
      rowSelection: Object.fromEntries([...chosen].map((name) => [name, true as const])),
      sorting: [{ id: sort, desc: descending }],
    },
    onRowSelectionChange: (updater) => {
      const before = Object.fromEntries([...chosen].map((name) => [name, true as const]));
      const after = typeof updater === "function" ? updater(before) : updater;
      choose(new Set(Object.keys(after).filter((name) => after[name])));
    },
    onSortingChange: (updater) => {
      const before = [{ id: sort, desc: descending }];
      const [first] = typeof updater === "function" ? updater(before) : updater;
      change({ sort: first?.id ?? "", order: first?.desc ? "desc" : "" });
    },
    enableSortingRemoval: false,
    sortDescFirst: false,
  });
  const all = table.getIsAllRowsSelected();
  return (
    <TableFrame label="Certificates">
      <table class="certificates">
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              <th scope="col" class="check">
                <input
                  type="checkbox"
                  aria-label="Choose all on this page"
                  checked={all}
                  indeterminate={!all && table.getIsSomeRowsSelected()}
                  onChange={() => table.toggleAllRowsSelected(!all)}
                />
              </th>
              {group.headers.map((header) => {
                const sorted = header.column.getIsSorted();
                const direction = sorted === "desc" ? "descending" : "ascending";
                return (
                  <th key={header.id} scope="col" aria-sort={sorted === false ? undefined : direction}>
                    {header.column.getCanSort() ? (
                      <button type="button" class="sort" onClick={() => header.column.toggleSorting()}>
                        <table.FlexRender header={header} />
                        <span aria-hidden="true">
                          {sorted === false ? "↕" : sorted === "desc" ? "↓" : "↑"}
                        </span>
                      </button>
                    ) : (
                      <table.FlexRender header={header} />
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr key={row.id} class={row.getIsSelected() ? "chosen" : undefined}>
              <td class="check">
                <input
                  type="checkbox"
                  aria-label={`Choose ${row.id}`}
                  checked={row.getIsSelected()}
                  onChange={row.getToggleSelectedHandler()}
                />
              </td>
              {row.getAllCells().map((cell) => (
                <td key={cell.id} class={`cell-${cell.column.id}`}>
                  <table.FlexRender cell={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

function Name({ certificate: { name, names } }: { certificate: CertificateShown }) {
  return (
    <>
      <Link href={`/certificates/${encodeURIComponent(name)}`}>{name}</Link>
      {names.length > 1 && (
        <span class="small soft" title={names.join("\n")}>
          {" "}
          and {count(names.length - 1, "more name")}
        </span>
      )}
    </>
  );
}

function Standing({ certificate }: { certificate: CertificateShown }) {
  const { status, reason, detail, until } = certificate;
  return (
    <>
      <StatusBadge status={status} reason={reason} />
      {until !== undefined && (
        <span class="small soft">
          {" "}
          <Time at={until} />
        </span>
      )}
      {detail !== undefined && status !== "serving" && <p class="small soft why">{detail}</p>}
    </>
  );
}

function Nodes({ certificate: { nodes } }: { certificate: CertificateShown }) {
  if (nodes.length === 0) return null;
  const serving = nodes.filter((node) => node.serving).length;
  const words = nodes.map(
    (node) => `${node.node}: ${node.serving ? "serves it" : (node.owed ?? "does not serve it")}`,
  );
  return (
    <span class={`number ${serving < nodes.length ? "wait-ink" : ""}`} title={words.join("\n")}>
      {serving} of {nodes.length}
    </span>
  );
}
