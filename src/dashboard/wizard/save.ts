/** Milliseconds that a browser gets to take the file. */
const TAKEN = 10_000;

/** Offers a text as a download. */
export function save(name: string, text: string): void {
  const href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = Object.assign(document.createElement("a"), { href, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(href), TAKEN);
}
