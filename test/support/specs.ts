/** What somebody asks for, as the CSV's defaults make it. */
import { type CertificateSpec, DEFAULTS } from "../../src/core/certificate.ts";

export function makeSpec(names: string | string[], more: Partial<CertificateSpec> = {}): CertificateSpec {
  const { vipPort, acmePort, keyType, challenge, priority } = DEFAULTS;
  return { names: [names].flat(), vipPort, acmePort, keyType, challenge, priority, ...more };
}
