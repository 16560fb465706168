import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureTools } from "../../../scripts/tools.ts";
import { certIdOf } from "../../../src/pki/cert-id.ts";
import { tempDir } from "../../support/temp.ts";

/** RFC 9773, appendix A. */
const EXAMPLE = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`;

let program: string;
const dir = tempDir("certherd-cert-id");

beforeAll(async () => {
  program = (await ensureTools(["openssl"])).openssl;
});

function openssl(...args: string[]): string {
  return execFileSync(program, args, { cwd: dir, encoding: "utf8", stdio: "pipe" });
}

/** A certificate with that serial, its own issuer, made by openssl. */
function selfSigned(serial: string, ...more: string[]): string {
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem"];
  openssl("req", "-x509", ...newKey, "-out", "cert.pem", "-subj", "/CN=x", "-set_serial", serial, ...more);
  return readFileSync(join(dir, "cert.pem"), "utf8");
}

describe("a certificate's id at its CA", () => {
  it("is that of the RFC's example", () => {
    expect(certIdOf(EXAMPLE)).toBe("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
  });

  it.each([
    ["0x01", "01"],
    ["0x7f", "7f"],
    // DER's integers have a sign: the first octet says that it is positive.
    ["0x80", "0080"],
    ["0xc0ffee00c0ffee00c0ffee00c0ffee00c0ffee", "00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee"],
  ])("holds the serial %s as its octets in DER, and the issuer's key", (serial, octets) => {
    const pem = selfSigned(serial);
    const printed = openssl("x509", "-in", "cert.pem", "-noout", "-ext", "subjectKeyIdentifier");
    const key = (/((?:[0-9A-F]{2}:){19}[0-9A-F]{2})/.exec(printed)?.[1] ?? "").replaceAll(":", "");
    const expected = `${Buffer.from(key, "hex").toString("base64url")}.${Buffer.from(octets, "hex").toString("base64url")}`;
    expect(certIdOf(pem)).toBe(expected);
  });

  it("is found with a long certificate and extensions of all kinds", () => {
    const names = Array.from({ length: 100 }, (_, n) => `DNS:n${n}.${"long".repeat(10)}.example`).join(",");
    const pem = selfSigned(
      "0x05",
      "-addext",
      `subjectAltName=${names}`,
      "-addext",
      "keyUsage=critical,digitalSignature",
    );
    expect(certIdOf(pem)).toMatch(/^[\w-]{27}\.BQ$/);
  });

  it("is none where the issuer's key is not named", () => {
    expect(certIdOf(selfSigned("0x05", "-addext", "authorityKeyIdentifier=none"))).toBeUndefined();
  });
});
