/** Homes of other ACME clients, laid out as the clients do: compare fixtures/adopt/acme.sh, which acme.sh wrote. */
import { createHash, createPrivateKey } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

export interface ForeignCertificate {
  /** The first one names it. */
  names: readonly string[];
  leafPem: string;
  issuersPem: string;
  keyPem: string;
  /** The CA's ACME directory. */
  directory: string;
}

export interface AcmeShOptions {
  /** A folder, `no`, `dns_cf`, …; a folder unless given. */
  webroot?: string;
  /** With an elliptic-curve key: in the folder that ends in `_ecc`. */
  ecc?: boolean;
  reload?: string;
  orderUrl?: string;
  /** When acme.sh noted it as made, milliseconds since the epoch; now unless given. */
  madeAt?: number;
  /** Files, by suffix, that are to be otherwise; undefined for none. */
  files?: Readonly<Record<string, string | undefined>>;
}

/** Adds one certificate to an acme.sh home; returns its folder. */
export function writeAcmeSh(home: string, cert: ForeignCertificate, options: AcmeShOptions = {}): string {
  const [name = "", ...others] = cert.names;
  const { webroot = "/var/www/acme", ecc = true, reload, orderUrl, madeAt = Date.now() } = options;
  const folder = join(home, ecc ? `${name}_ecc` : name);
  mkdirSync(folder, { recursive: true });
  const conf: Record<string, string> = {
    Le_Domain: name,
    Le_Alt: others.join(",") || "no",
    Le_Webroot: webroot,
    Le_PreHook: "",
    Le_PostHook: "",
    Le_RenewHook: "",
    Le_API: cert.directory,
    Le_Keylength: ecc ? "ec-256" : "2048",
    ...(orderUrl === undefined ? {} : { Le_LinkOrder: orderUrl }),
    Le_CertCreateTime: String(Math.floor(madeAt / 1_000)),
    ...(reload === undefined ? {} : { Le_ReloadCmd: encoded(reload) }),
  };
  const files: Record<string, string | undefined> = {
    [`${name}.conf`]: settings(conf),
    [`${name}.cer`]: cert.leafPem,
    [`${name}.key`]: sec1(cert.keyPem),
    "ca.cer": cert.issuersPem,
    "fullchain.cer": cert.leafPem + cert.issuersPem,
    ...options.files,
  };
  for (const [file, text] of Object.entries(files)) if (text !== undefined) write(join(folder, file), text);
  return folder;
}

/** What tells that it is one, with an account at the CA. */
export function writeAcmeShAccount(
  home: string,
  { directory, keyPem, url }: { directory: string; keyPem: string; url: string },
): void {
  const { hostname, pathname } = new URL(directory);
  const folder = join(home, "ca", hostname, pathname.slice(1));
  const key = sec1(keyPem);
  const hash = createHash("sha256").update(key).digest("base64");
  mkdirSync(folder, { recursive: true });
  write(join(home, "account.conf"), settings({ USER_PATH: "/usr/bin:/bin" }));
  write(join(folder, "account.key"), key);
  write(
    join(folder, "ca.conf"),
    settings({ CA_EMAIL: "ops@example.com", ACCOUNT_URL: url, CA_KEY_HASH: hash }),
  );
}

export interface CertbotOptions {
  lineage?: string;
  authenticator?: string;
  /** Lines of `renewalparams`. */
  params?: readonly string[];
  account?: string;
  /** How often it was renewed before, each with the same files. */
  renewals?: number;
}

/** Adds one lineage to a certbot folder; returns its name. */
export function writeCertbot(home: string, cert: ForeignCertificate, options: CertbotOptions = {}): string {
  const { lineage = cert.names[0] ?? "", authenticator = "standalone", params = [], renewals = 0 } = options;
  const [live, archive] = [join(home, "live", lineage), join(home, "archive", lineage)];
  for (const folder of [live, archive, join(home, "renewal")]) mkdirSync(folder, { recursive: true });
  const parts = {
    cert: cert.leafPem,
    privkey: cert.keyPem,
    chain: cert.issuersPem,
    fullchain: cert.leafPem + cert.issuersPem,
  };
  for (const [part, text] of Object.entries(parts)) {
    for (let n = 1; n <= renewals + 1; n++) write(join(archive, `${part}${n}.pem`), text);
    symlinkSync(`../../archive/${lineage}/${part}${renewals + 1}.pem`, join(live, `${part}.pem`));
  }
  const lines = [
    "# renew_before_expiry = 30 days",
    "version = 2.1.0",
    ...Object.keys(parts).map((part) => `${part} = /etc/letsencrypt/live/${lineage}/${part}.pem`),
    "",
    "# Options used in the renewal process",
    "[renewalparams]",
    ...(options.account === undefined ? [] : [`account = ${options.account}`]),
    `server = ${cert.directory}`,
    `authenticator = ${authenticator}`,
    ...params,
  ];
  write(join(home, "renewal", `${lineage}.conf`), `${lines.join("\n")}\n`);
  return lineage;
}

export function writeCertbotAccount(
  home: string,
  account: { directory: string; keyPem: string; url: string; name: string; madeAt?: string },
): void {
  const { host, pathname } = new URL(account.directory);
  const folder = join(home, "accounts", host, pathname.slice(1), account.name);
  mkdirSync(folder, { recursive: true });
  const jwk = createPrivateKey(account.keyPem).export({ format: "jwk" });
  write(join(folder, "private_key.json"), JSON.stringify(jwk));
  write(join(folder, "regr.json"), JSON.stringify({ body: {}, uri: account.url }));
  write(join(folder, "meta.json"), JSON.stringify({ creation_dt: account.madeAt ?? "2026-01-01T00:00:00Z" }));
}

/** All that is in a folder: names, modes, times and contents. */
export function fingerprint(folder: string): string {
  const hash = createHash("sha256");
  const visit = (path: string): void => {
    const { mode, mtimeMs, ctimeMs, size } = lstatSync(path);
    hash.update(JSON.stringify([path, mode, mtimeMs, ctimeMs, size]));
    if (lstatSync(path).isSymbolicLink()) hash.update(readlinkSync(path));
    else if (lstatSync(path).isDirectory())
      for (const name of readdirSync(path).sort()) visit(join(path, name));
    else hash.update(readFileSync(path));
  };
  visit(folder);
  return hash.digest("hex");
}

function write(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
}

/** As acme.sh has openssl write keys; RSA ones as PKCS #1. */
function sec1(pem: string): string {
  if (!pem.includes("BEGIN PRIVATE KEY")) return pem;
  const key = createPrivateKey(pem);
  const type = key.asymmetricKeyType === "rsa" ? "pkcs1" : "sec1";
  return key.export({ type, format: "pem" }).toString();
}

function settings(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}='${value}'\n`)
    .join("");
}

function encoded(text: string): string {
  return `__ACME_BASE64__START_${Buffer.from(text).toString("base64")}__ACME_BASE64__END_`;
}
