/** One file of certbot's `renewal` folder, as far as it is of use. */
export interface RenewalConf {
  /** Outside of any section: `cert`, `privkey`, … */
  files: ReadonlyMap<string, string>;
  /** The section `renewalparams`: with what the certificate was asked for. */
  params: ReadonlyMap<string, string>;
}

/** ConfigObj's form: `name = value`, sections in brackets, deeper ones in double brackets. */
export function parseRenewalConf(text: string): RenewalConf {
  const [files, params, other] = [new Map(), new Map(), new Map()] as [Values, Values, Values];
  let section = files;
  for (const line of text.split(/\r?\n/).map((raw) => raw.trim())) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name] = /^\[+\s*(.*?)\s*\]+$/.exec(line) ?? [];
    if (name !== undefined) {
      section = name === "renewalparams" ? params : other;
      continue;
    }
    const at = line.indexOf("=");
    if (at > 0) section.set(line.slice(0, at).trim(), unquoted(line.slice(at + 1).trim()));
  }
  return { files, params };
}

type Values = Map<string, string>;

function unquoted(text: string): string {
  const [, , inside] = /^(['"]{3}|['"])(.*)\1$/s.exec(text) ?? [];
  return inside ?? text;
}

/** "dns-01, http-01," → ["dns-01", "http-01"] */
export function listOf(value: string | undefined): string[] {
  return (value ?? "")
    .split(",")
    .map((part) => unquoted(part.trim()))
    .filter((part) => part !== "");
}
