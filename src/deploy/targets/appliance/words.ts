const MOST = 300;

/** Words of the appliance as they may stand in an error. */
export function wordsOf(text: string): string {
  return text
    .replace(/-----BEGIN [\s\S]*?(?:-----END [^\n]*|$)/g, "(PEM)")
    .replace(/[\s\p{Cc}]+/gu, " ")
    .trim()
    .slice(0, MOST);
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: " " };

/** What a page says without its tags. */
export function textOf(html: string): string {
  return html
    .replace(/<(script|style)\b[\s\S]*?<\/\1>/gi, " ")
    .replace(/<[^>]*>/g, " ")
    .replace(/&(\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole);
}
