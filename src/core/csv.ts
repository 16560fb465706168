/** One line of a CSV (RFC 4180 §2), for a person who opens it in a spreadsheet. Ends in a line feed. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => quoted(safe(cell))).join(",")}\n`;
}

/** Quoted wherever a reader might see more than the cell in it: RFC 4180 §2, outer spaces, and what looks like a comment. */
export function quoted(cell: string): string {
  return /[",\r\n]|^\s|\s$|^#/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/**
 * What a spreadsheet would take for a formula gets an apostrophe before it: what stands in DNS, in an upload or in an
 * answer of a CA is anybody's. On one line. https://owasp.org/www-community/attacks/CSV_Injection
 */
export function safe(text: string): string {
  const tame = text.replace(/[\r\n\t\0]+/g, " ");
  return /^\s*[=+\-@]/.test(tame) ? `'${tame}` : tame;
}
