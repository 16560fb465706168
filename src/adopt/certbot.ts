import { join } from "node:path";
import { accountKeyFromJwk } from "./account-key.ts";
import type { AfterRenewal, ForeignHome, Found, FoundAccount } from "./found.ts";
import { refuse } from "./found.ts";
import { isFolder, listForeign, readForeign } from "./read.ts";
import { listOf, parseRenewalConf, type RenewalConf } from "./renewal-conf.ts";

const CONF = ".conf";
const HOOKS = ["renew_hook", "pre_hook", "post_hook"];
const HOOK_FOLDERS = ["deploy", "pre", "post"];

/** certbot's configuration folder (`/etc/letsencrypt`). */
export class CertbotHome implements ForeignHome {
  readonly kind = "certbot";
  readonly path: string;
  /** Programs that run for every certificate. */
  #hooks: Promise<AfterRenewal["commands"]> | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Lineages: those that it renews, and those that only have their files. */
  async entries(): Promise<string[]> {
    const renewed = (await listForeign(join(this.path, "renewal"))).filter((name) => name.endsWith(CONF));
    const others = await Promise.all(["live", "archive"].map((name) => listForeign(join(this.path, name))));
    return [...new Set([...renewed.map((name) => name.slice(0, -CONF.length)), ...others.flat()])].sort();
  }

  nameOf(entry: string): string {
    return entry;
  }

  async read(entry: string): Promise<Found | undefined> {
    const text = await readForeign(join(this.path, "renewal", entry + CONF));
    const folders = [join(this.path, "live", entry), join(this.path, "archive", entry)];
    const areThere = await Promise.all(folders.map(isFolder));
    if (text === undefined && !areThere.includes(true)) return undefined;
    const conf = parseRenewalConf(text ?? "");
    const newest = await this.#newest(entry);
    const [leafPem, keyPem, chain, fullchain] = await Promise.all(
      ["cert", "privkey", "chain", "fullchain"].map((part) => this.#part(entry, part, newest)),
    );
    if (leafPem === undefined)
      throw refuse(
        "adopt_no_certificate",
        `Its certificate is missing in ${folders.join(" and ")}. Import it as a new row, or \`certherd issue -d NAME\`.`,
      );
    if (keyPem === undefined)
      throw refuse("adopt_no_key", `Its privkey.pem is missing in ${folders[0]}; order it anew.`);
    return {
      entry,
      name: entry,
      leafPem,
      keyPem,
      issuersPem: chain ?? (fullchain ?? "").replace(leafPem.trim(), ""),
      ...asked(conf),
      first: newest === 1,
      afterRenewal: await this.#afterRenewal(conf),
    };
  }

  /** What `live` links to; where the links were lost, as in a copy, the newest of the archive. */
  async #part(entry: string, part: string, newest: number): Promise<string | undefined> {
    const live = await readForeign(join(this.path, "live", entry, `${part}.pem`));
    return live ?? (await readForeign(join(this.path, "archive", entry, `${part}${newest}.pem`)));
  }

  /** `cert7.pem` is the seventh of its lineage. */
  async #newest(entry: string): Promise<number> {
    const names = await listForeign(join(this.path, "archive", entry));
    return Math.max(0, ...names.map((name) => Number(/^cert(\d+)\.pem$/.exec(name)?.[1] ?? 0)));
  }

  async #afterRenewal({ params }: RenewalConf): Promise<AfterRenewal> {
    const own = HOOKS.flatMap((what) => {
      const command = params.get(what);
      return command === undefined ? [] : [{ what, command }];
    });
    const installer = params.get("installer");
    const installs =
      installer === undefined || installer === "None" ? [] : [{ what: "installer", command: installer }];
    return { commands: [...own, ...installs, ...(await this.#folderHooks())], copies: [] };
  }

  #folderHooks(): Promise<AfterRenewal["commands"]> {
    this.#hooks ??= (async () => {
      const found: AfterRenewal["commands"] = [];
      for (const what of HOOK_FOLDERS) {
        const folder = join(this.path, "renewal-hooks", what);
        for (const name of await listForeign(folder))
          found.push({ what: `renewal-hooks/${what}`, command: join(folder, name) });
      }
      return found;
    })();
    return this.#hooks;
  }

  /** `accounts/<host and port>/<path>/<hash>/`. */
  async account(directory: string, preferred: string | undefined): Promise<FoundAccount | undefined> {
    const { host, pathname } = new URL(directory);
    const folder = join(this.path, "accounts", host, pathname.slice(1));
    const names = await listForeign(folder);
    const chosen = names.includes(preferred ?? "") ? preferred : await this.#oldest(folder, names);
    if (chosen === undefined) return undefined;
    const keyPath = join(folder, chosen, "private_key.json");
    const [jwk, registration] = await Promise.all([
      readForeign(keyPath),
      readForeign(join(folder, chosen, "regr.json")),
    ]);
    if (jwk === undefined) return undefined;
    const { uri, contact } = registrationOf(registration);
    return {
      entry: join(folder, chosen),
      keyPem: accountKeyFromJwk(jwk, keyPath),
      contact,
      ...(uri === undefined ? {} : { url: uri }),
    };
  }

  async #oldest(folder: string, names: readonly string[]): Promise<string | undefined> {
    const dated = await Promise.all(
      names.map(async (name) => {
        const meta = await readForeign(join(folder, name, "meta.json"));
        return { name, at: String(jsonOf(meta).creation_dt ?? "9999") };
      }),
    );
    return dated.sort((a, b) => a.at.localeCompare(b.at))[0]?.name;
  }

  takeOut(): string[] {
    return [
      "systemctl disable --now certbot.timer (installed by snap: snap.certbot.renew.timer).",
      "/etc/cron.d/certbot, and any line with `certbot renew` in crontab -l: take it out.",
    ];
  }
}

/** With what it was asked for. */
function asked({ params }: RenewalConf): Pick<Found, "challenge"> & Partial<Found> {
  const [way, directory, account] = ["authenticator", "server", "account"].map((name) => params.get(name));
  const profile = params.get("required_profile") ?? params.get("preferred_profile");
  // `dns-cloudflare`; a plugin of somebody else's is `certbot-dns-x:dns-x`, and `manual` goes by the challenge.
  const isDns = /(^|[:-])dns-/.test(way ?? "") || listOf(params.get("pref_challs"))[0] === "dns-01";
  return {
    challenge: isDns ? "dns-01" : "http-01",
    ...(way === undefined ? {} : { validatedBy: way }),
    ...(directory === undefined ? {} : { directory }),
    ...(account === undefined ? {} : { account }),
    ...(profile === undefined || profile === "None" ? {} : { profile }),
  };
}

function registrationOf(text: string | undefined): { uri?: string; contact: string[] } {
  const { uri, body } = jsonOf(text);
  const contact = typeof body === "object" && body !== null && "contact" in body ? body.contact : [];
  return {
    ...(typeof uri === "string" ? { uri } : {}),
    contact: Array.isArray(contact) ? contact.filter((entry) => typeof entry === "string") : [],
  };
}

function jsonOf(text: string | undefined): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text ?? "{}");
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
