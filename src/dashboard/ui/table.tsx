import type { ComponentChildren } from "preact";
import { TableFrame } from "./parts.tsx";

export interface Column {
  title: string;
  /** Of figures. */
  isRight?: boolean;
  /** For those who hear it alone, as what stands in it says enough. */
  isHidden?: boolean;
}

interface TableProps {
  label: string;
  columns: readonly (string | Column)[];
  class?: string;
  /** The rows. */
  children: ComponentChildren;
}

/** A table with its head. That of the list of certificates, which sorts and chooses, is one of its own. */
export function Table({ label, columns, class: name, children }: TableProps) {
  return (
    <TableFrame label={label}>
      <table class={name}>
        <thead>
          <tr>
            {columns
              .map((column): Column => (typeof column === "string" ? { title: column } : column))
              .map(({ title, isRight, isHidden }, index) => (
                <th key={`${index} ${title}`} scope="col" class={isRight ? "right" : undefined}>
                  {isHidden ? <span class="hidden-but-read">{title}</span> : title}
                </th>
              ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </TableFrame>
  );
}
