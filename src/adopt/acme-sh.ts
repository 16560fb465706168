import { join } from "node:path";
import type { ChallengeType } from "../core/certificate.ts";
import { accountKeyFromPem, fileDigest } from "./account-key.ts";
import type { AfterRenewal, ForeignHome, Found, FoundAccount } from "./found.ts";
import { refuse } from "./found.ts";
import { isFolder, listForeign, readForeign, writtenAt } from "./read.ts";
import { parseSettings } from "./settings.ts";

type Settings = ReadonlyMap<string, string>;

/** What acme.sh appends to the folder of a certificate with an elliptic-curve key. */
const ECC = "_ecc";
/** Milliseconds: a key that is older than its certificate by more than that has been renewed with. */
const SAME_TIME = 86_400_000;

const COMMANDS = ["Le_ReloadCmd", "Le_DeployHook", "Le_RenewHook", "Le_PreHook", "Le_PostHook"];
const COPIES = ["Le_RealCertPath", "Le_RealKeyPath", "Le_RealFullChainPath", "Le_RealCACertPath"];

/** An acme.sh home (`~/.acme.sh`), or the folder that its certificates were moved to (`--cert-home`). */
export class AcmeShHome implements ForeignHome {
  readonly kind = "acme.sh";
  readonly path: string;
  readonly #certHome: string;
  readonly #settings: Settings;

  private constructor(path: string, certHome: string, settings: Settings) {
    this.path = path;
    this.#certHome = certHome;
    this.#settings = settings;
  }

  static async open(path: string): Promise<AcmeShHome> {
    const settings = parseSettings((await readForeign(join(path, "account.conf"))) ?? "");
    const elsewhere = settings.get("CERT_HOME");
    // A home that was copied from another machine names a folder that is not there.
    const certHome = elsewhere !== undefined && (await isFolder(elsewhere)) ? elsewhere : path;
    return new AcmeShHome(path, certHome, settings);
  }

  async entries(): Promise<string[]> {
    return await listForeign(this.#certHome);
  }

  nameOf(entry: string): string {
    return entry.endsWith(ECC) ? entry.slice(0, -ECC.length) : entry;
  }

  async read(entry: string): Promise<Found | "given up" | undefined> {
    const name = this.nameOf(entry);
    const file = (suffix: string) => join(this.#certHome, entry, `${name}${suffix}`);
    const [conf, leafPem, keyPem] = await Promise.all(
      [".conf", ".cer", ".key"].map((suffix) => readForeign(file(suffix))),
    );
    if (conf === undefined && (await readForeign(file(".conf.removed"))) !== undefined) return "given up";
    if (conf === undefined && leafPem === undefined) return undefined;
    if (leafPem === undefined) throw await notIssued(file);
    if (keyPem === undefined)
      throw refuse("adopt_no_key", `Its private key, ${file(".key")}, is missing; order it anew.`);
    const settings = parseSettings(conf ?? "");
    const obtained = Number(settings.get("Le_CertCreateTime") ?? Number.NaN) * 1_000;
    return {
      entry,
      name: settings.get("Le_Domain") ?? name,
      leafPem,
      keyPem,
      issuersPem: await this.#issuers(entry, leafPem),
      ...asked(settings),
      ...(Number.isFinite(obtained) ? { issuedAt: obtained } : {}),
      first: Math.abs(((await writtenAt(file(".key"))) ?? 0) - obtained) < SAME_TIME,
      afterRenewal: afterRenewal(settings),
    };
  }

  /** `ca.cer`, else what stands behind the leaf in the whole chain. */
  async #issuers(entry: string, leafPem: string): Promise<string> {
    const issuers = await readForeign(join(this.#certHome, entry, "ca.cer"));
    if (issuers?.includes("-----BEGIN")) return issuers;
    const chain = (await readForeign(join(this.#certHome, entry, "fullchain.cer"))) ?? "";
    return chain.replace(leafPem.trim(), "");
  }

  /** By the directory's host, without its port, and path. In old homes by the host alone. */
  async account(directory: string): Promise<FoundAccount | undefined> {
    const { hostname, pathname } = new URL(directory);
    const host = join(this.path, "ca", hostname);
    const own = this.#settings.get("ACCOUNT_KEY_PATH");
    for (const folder of [join(host, pathname.slice(1)), host]) {
      const keyPath = own ?? join(folder, "account.key");
      const [pem, conf] = await Promise.all([readForeign(keyPath), readForeign(join(folder, "ca.conf"))]);
      if (pem === undefined || (own !== undefined && conf === undefined)) continue;
      const settings = parseSettings(conf ?? "");
      const [url, digest] = [settings.get("ACCOUNT_URL"), settings.get("CA_KEY_HASH")];
      const isOfKey = digest === undefined || digest === fileDigest(pem);
      const mail = settings.get("CA_EMAIL");
      return {
        entry: keyPath,
        keyPem: accountKeyFromPem(pem, keyPath),
        contact: mail === undefined ? [] : [`mailto:${mail}`],
        ...(url !== undefined && isOfKey ? { url } : {}),
      };
    }
    return undefined;
  }

  takeOut(): string[] {
    const line = `"${this.path}"/acme.sh --cron --home "${this.path}"`;
    return [
      `crontab -e: take out the line with ${line} (or run: "${this.path}"/acme.sh --uninstall-cronjob --home "${this.path}").`,
      "systemctl list-timers: a timer that runs acme.sh, where somebody has made one.",
    ];
  }
}

/** With what it was asked for. */
function asked(settings: Settings): Pick<Found, "challenge" | "directory"> & Partial<Found> {
  const webroot = settings.get("Le_Webroot");
  const [directory, orderUrl] = [settings.get("Le_API"), settings.get("Le_LinkOrder")];
  const profile = settings.get("Le_Certificate_Profile");
  return {
    challenge: challengeOf(webroot ?? ""),
    ...(webroot === undefined ? {} : { validatedBy: validationOf(webroot) }),
    ...(directory === undefined ? {} : { directory }),
    ...(orderUrl === undefined ? {} : { orderUrl }),
    ...(profile === undefined ? {} : { profile }),
  };
}

/** One for each name, or one for all: a folder, `no` (standalone), `apache`, `nginx:…`, `alpn`, `dns` or `dns_…`. */
function challengeOf(webroot: string): ChallengeType {
  return webroot.split(",").some(isDns) ? "dns-01" : "http-01";
}

function isDns(way: string): boolean {
  return /^dns(_|$)/.test(way.trim());
}

function validationOf(webroot: string): string {
  const ways = webroot.split(",").map((way) => way.trim());
  const named = ways.map((way) => (way === "no" ? "standalone" : way.startsWith("/") ? "webroot" : way));
  return [...new Set(named)].join(", ");
}

function afterRenewal(settings: Settings): AfterRenewal {
  const given = (what: string): { what: string; value: string }[] => {
    const value = settings.get(what);
    return value === undefined ? [] : [{ what, value }];
  };
  return {
    commands: COMMANDS.flatMap(given).map(({ what, value }) => ({ what, command: value })),
    copies: COPIES.flatMap(given).map(({ what, value }) => ({ what, path: value })),
  };
}

async function notIssued(file: (suffix: string) => string): Promise<Error> {
  // What acme.sh leaves behind when it has revoked a certificate.
  if ((await writtenAt(file(".key.revoked"))) !== undefined)
    return refuse("adopt_no_certificate", "acme.sh has revoked it; order it anew where it is still wanted.");
  return refuse(
    "adopt_no_certificate",
    `acme.sh never got it issued: ${file(".cer")} is missing. Import it as a new row, or \`certherd issue -d NAME\`.`,
  );
}
