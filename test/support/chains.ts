/** Chains as a CA sends them, made with openssl: a root, an intermediate below it, and leaves below that. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureTools } from "../../scripts/tools.ts";
import { removeDir, tempDir } from "./temp.ts";

export interface TestCa {
  readonly rootPem: string;
  readonly intermediatePem: string;
  /** A leaf for the key, valid for 90 days from now. The names may be of any kind, as in `DNS:a.example`. */
  leaf(keyPem: string, altNames: readonly string[], serial?: string): string;
  /** What openssl says of a PEM that is handed in. */
  openssl(args: readonly string[], input?: string): string;
  stop(): void;
}

const EXTENSIONS = `
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
`;

export async function makeTestCa(): Promise<TestCa> {
  const { openssl: program } = await ensureTools(["openssl"]);
  const dir = tempDir("certherd-chains");
  const openssl = (args: readonly string[], input = ""): string =>
    execFileSync(program, args, { cwd: dir, input, encoding: "utf8", stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"];
  const request = (name: string, subject: string) =>
    openssl(["req", "-new", ...newKey, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject]);
  const asCa = ["-days", "3650", "-extfile", "ca.cnf", "-extensions", "ca"];
  const byIntermediate = ["-CA", "intermediate.pem", "-CAkey", "intermediate.key"];
  writeFileSync(join(dir, "ca.cnf"), EXTENSIONS);
  request("root", "/C=ZZ/O=Certherd tests/CN=Test Root X1");
  openssl(["x509", "-req", "-in", "root.csr", "-signkey", "root.key", "-out", "root.pem", ...asCa]);
  request("intermediate", "/C=ZZ/O=Certherd tests/CN=Test E7");
  const byRoot = ["-CA", "root.pem", "-CAkey", "root.key", "-set_serial", "2"];
  openssl(["x509", "-req", "-in", "intermediate.csr", ...byRoot, "-out", "intermediate.pem", ...asCa]);
  const read = (name: string): string => readFileSync(join(dir, name), "utf8");

  return {
    rootPem: read("root.pem"),
    intermediatePem: read("intermediate.pem"),
    leaf(keyPem, altNames, serial = "0x0a1b2c3d") {
      writeFileSync(join(dir, "leaf.key"), keyPem);
      const extensions = altNames.length > 0 ? `subjectAltName = ${altNames.join(", ")}\n` : "";
      writeFileSync(join(dir, "leaf.cnf"), `[leaf]\nbasicConstraints = CA:FALSE\n${extensions}`);
      openssl(["req", "-new", "-key", "leaf.key", "-out", "leaf.csr", "-subj", "/"]);
      const asLeaf = ["-days", "90", "-extfile", "leaf.cnf", "-extensions", "leaf"];
      return openssl([
        "x509",
        "-req",
        "-in",
        "leaf.csr",
        ...byIntermediate,
        "-set_serial",
        serial,
        ...asLeaf,
      ]);
    },
    openssl,
    stop: () => removeDir(dir),
  };
}
