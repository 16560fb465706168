/** One certificate: its name, and what there is to say of it. */
export interface Entry {
  name: string;
  lines: readonly string[];
}

export interface Section {
  title: string;
  /** Of the bar beside its title, as CSS has it. */
  colour: string;
  entries: readonly Entry[];
  /** What the entries leave out. */
  more?: string;
}

export interface Parts {
  title: string;
  intro: readonly string[];
  sections: readonly Section[];
  footer: string;
}

/** Beside control characters, what turns the writing round, and what some take for the end of a line. */
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]+/gu;

/** One line without control characters: nothing in it can begin a header or a line of its own. */
export function clean(text: string): string {
  return text.replace(UNPRINTABLE, " ").replace(/ {2,}/g, " ").trim();
}

/** Cleaned, and at most `length` characters long. */
export function shorten(text: string, length: number): string {
  const line = clean(text);
  if (line.length <= length) return line;
  // A cut must not leave half of a surrogate pair behind.
  return `${line.slice(0, length - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** The same mail twice: for a terminal, and for a mail program. */
export function layOut(parts: Parts): { text: string; html: string } {
  return { text: asText(parts), html: asHtml(parts) };
}

function asText({ title, intro, sections, footer }: Parts): string {
  const blocks = [
    clean(title),
    ...(intro.length > 0 ? [intro.map(clean).join("\n")] : []),
    ...sections.map(sectionText),
    // The usual mark of a signature, which replies leave out.
    `-- \n${clean(footer)}`,
  ];
  return `${blocks.join("\n\n")}\n`;
}

function sectionText({ title, entries, more }: Section): string {
  const heading = clean(title);
  const lines = entries.flatMap(({ name, lines }) => [
    `  ${clean(name)}`,
    ...lines.map((line) => `    ${clean(line)}`),
  ]);
  return [heading, "-".repeat(heading.length), ...lines, ...(more ? [`  ${clean(more)}`] : [])].join("\n");
}

/** Styles stand inline and nothing is loaded: most mail programs drop the one and block the other. */
const STYLES = {
  body: "margin:0;padding:24px;background:#ffffff;color:#1f2328;font:15px/1.5 -apple-system,Segoe UI,Helvetica,Arial,sans-serif",
  frame: "max-width:680px",
  title: "margin:0 0 12px;font-size:20px;line-height:1.3",
  intro: "margin:0 0 8px",
  entry: "margin:0 0 12px",
  line: "color:#57606a;font-size:13px",
  footer: "margin:28px 0 0;color:#57606a;font-size:12px",
} as const;

function asHtml({ title, intro, sections, footer }: Parts): string {
  return [
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title></head>`,
    `<body style="${STYLES.body}"><div style="${STYLES.frame}">`,
    `<h1 style="${STYLES.title}">${escapeHtml(title)}</h1>`,
    ...intro.map((line) => `<p style="${STYLES.intro}">${escapeHtml(line)}</p>`),
    ...sections.map(sectionHtml),
    `<p style="${STYLES.footer}">${escapeHtml(footer)}</p>`,
    "</div></body></html>\n",
  ].join("\n");
}

function sectionHtml({ title, colour, entries, more }: Section): string {
  const heading = `margin:24px 0 12px;padding-left:10px;border-left:4px solid ${colour};font-size:16px`;
  const items = entries.map(({ name, lines }) => {
    const rest = lines
      .map((line) => `<br><span style="${STYLES.line}">${escapeHtml(line)}</span>`)
      .join("\n");
    return `<p style="${STYLES.entry}"><strong>${escapeHtml(name)}</strong>${rest}</p>`;
  });
  const end = more ? [`<p style="${STYLES.entry}">${escapeHtml(more)}</p>`] : [];
  return [`<h2 style="${heading}">${escapeHtml(title)}</h2>`, ...items, ...end].join("\n");
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return clean(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
