/** A home with very many certificates, as issuing would have left it, and their records. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CertificateRecord, namesKey } from "../../src/core/certificate.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { certificateFile } from "../../src/store/layout.ts";
import { makeTestCa } from "./chains.ts";
import { makeSpec } from "./specs.ts";

const SERIAL = "5A1B2C3D";

function pem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

export interface Made {
  record: CertificateRecord;
  leafPem: string;
  issuersPem: string;
  keyPem: string;
}

/** Certificates with serials of their own and one key; what was signed is not looked at, so one leaf does for all. */
export async function certificateMaker(): Promise<(name: string, number: number) => Made> {
  const ca = await makeTestCa();
  const keyPem = await generateKey("ec256");
  const leaf = ca.leaf(keyPem, ["DNS:a.example"], `0x${SERIAL}`);
  const issuersPem = ca.intermediatePem;
  ca.stop();
  const der = Buffer.from(leaf.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const at = der.indexOf(Buffer.from(SERIAL, "hex"));
  return (name, number) => {
    const mine = Buffer.from(der);
    mine.writeUInt32BE(0x10000000 + number, at);
    const now = Math.floor(Date.now() / 1_000) * 1_000 - 3_600_000;
    const spec = makeSpec(name);
    const record: CertificateRecord = {
      id: name,
      spec,
      status: "issued",
      attempts: 0,
      generation: 1,
      acceptedAt: now,
      leaf: {
        notBefore: now,
        notAfter: now + 90 * 86_400_000,
        issuer: "Test E7",
        serial: (0x10000000 + number).toString(16).toUpperCase(),
        renewAt: now + 60 * 86_400_000,
        issuedAt: now,
        set: namesKey(spec.names),
        generation: 1,
      },
    };
    return { record, leafPem: pem(mine), issuersPem, keyPem };
  };
}

/** Writes a certificate's folder at once, and not as durably as issuing does. */
export function writeCertificate(home: string, { record, leafPem, issuersPem, keyPem }: Made): string {
  const folder = join(home, "certificates", record.id);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, `${record.id}.key`), keyPem, { mode: 0o600 });
  writeFileSync(join(folder, `${record.id}.cer`), leafPem);
  writeFileSync(join(folder, "ca.cer"), issuersPem);
  writeFileSync(join(folder, "fullchain.cer"), leafPem + issuersPem);
  const provenance = {
    ca: "inhouse",
    directory: "https://ca.invalid/directory",
    orderUrl: "https://ca.invalid/1",
  };
  writeFileSync(
    join(folder, "certificate.json"),
    `${JSON.stringify(certificateFile(record, provenance), undefined, 2)}\n`,
  );
  return folder;
}
