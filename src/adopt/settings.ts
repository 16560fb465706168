/** What acme.sh puts round a value that it keeps in Base64. */
const ENCODED = /^__ACME_BASE64__START_(.*)__ACME_BASE64__END_$/s;

/**
 * A configuration file of acme.sh: `NAME='value'`, one a line, which it reads as shell does. Nothing is expanded here.
 * The last one of a name stands.
 */
export function parseSettings(text: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, raw] = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=(.*)$/.exec(line) ?? [];
    if (name === undefined || raw === undefined) continue;
    const value = decoded(unquoted(raw.trim()));
    if (value === "") settings.delete(name);
    else settings.set(name, value);
  }
  return settings;
}

/** Without the quotes around the whole. Written by hand, there may be none. */
function unquoted(text: string): string {
  const [, , inside] = /^(['"])(.*)\1$/s.exec(text) ?? [];
  return inside ?? text;
}

function decoded(value: string): string {
  const [, base64] = ENCODED.exec(value) ?? [];
  return base64 === undefined ? value : Buffer.from(base64, "base64").toString("utf8");
}
