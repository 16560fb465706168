/** Certificates for the HTTPS and STARTTLS of the servers themselves, made with openssl. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureTools } from "../../scripts/tools.ts";

export interface ServerCert {
  /** The root that signs `certPath`. */
  rootPath: string;
  certPath: string;
  keyPath: string;
}

const EXTENSIONS = `
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
`;

/** Writes a root and a server certificate for localhost and 127.0.0.1 into `dir`. */
export async function makeServerCert(dir: string): Promise<ServerCert> {
  const { openssl } = await ensureTools(["openssl"]);
  const run = (...args: string[]) => execFileSync(openssl, args, { cwd: dir, stdio: "pipe" });
  writeFileSync(join(dir, "ext.cnf"), EXTENSIONS);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"];
  const signed = (section: string) => ["-days", "30", "-extfile", "ext.cnf", "-extensions", section];
  run("req", "-new", ...newKey, "-keyout", "root.key", "-out", "root.csr", "-subj", "/CN=Certherd test root");
  run("x509", "-req", "-in", "root.csr", "-signkey", "root.key", "-out", "root.pem", ...signed("root"));
  run("req", "-new", ...newKey, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost");
  const byRoot = ["-CA", "root.pem", "-CAkey", "root.key", "-set_serial", `0x${Date.now().toString(16)}`];
  run("x509", "-req", "-in", "server.csr", ...byRoot, "-out", "server.pem", ...signed("leaf"));
  return {
    rootPath: join(dir, "root.pem"),
    certPath: join(dir, "server.pem"),
    keyPath: join(dir, "server.key"),
  };
}
