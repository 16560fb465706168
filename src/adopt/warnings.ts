import type { CertificateSpec } from "../core/certificate.ts";
import type { Examined } from "./examine.ts";
import type { Found } from "./found.ts";
import { challengeFor, type KnownAs } from "./record.ts";

export interface Warning {
  code: "ca_not_configured" | "ca_unknown" | "dns_provider_needed" | "key_type_changes" | "other_validation";
  /** Without the certificate's name, as many have the same. */
  sentence: string;
}

/** What will be different at its renewal. `preferred`: the first CA of the configuration. */
export function warningsFor(
  examined: Pick<Examined, "names" | "keyType" | "oddKey">,
  found: Pick<Found, "challenge" | "validatedBy" | "directory">,
  ca: KnownAs | undefined,
  preferred: string,
): Warning[] {
  const challenge = challengeFor(examined.names, found.challenge);
  return [
    ...aboutCa(found.directory, ca, preferred),
    ...aboutValidation(challenge, found.validatedBy),
    ...(examined.oddKey === undefined
      ? []
      : [
          {
            code: "key_type_changes",
            sentence: `Its key is ${examined.oddKey}; its renewal makes one of the type ${examined.keyType}.`,
          } as const,
        ]),
  ];
}

function aboutCa(directory: string | undefined, ca: KnownAs | undefined, preferred: string): Warning[] {
  if (ca?.configured) return [];
  if (directory === undefined || ca === undefined)
    return [
      {
        code: "ca_unknown",
        sentence: `Nothing tells which CA it is from: ${preferred} renews it, as an order that no CA exempts.`,
      },
    ];
  return [
    {
      code: "ca_not_configured",
      sentence: `Its CA is not configured, so ${preferred} renews it. To stay there: cas: [..., { name: ${ca.name}, directory: "${directory}" }], or CERTHERD_CA=${directory}.`,
    },
  ];
}

function aboutValidation(challenge: CertificateSpec["challenge"], validatedBy = "dns-01"): Warning[] {
  if (challenge === "dns-01")
    return [
      {
        code: "dns_provider_needed",
        sentence: `It was validated by ${validatedBy}, and is renewed by dns-01: configure a DNS provider for its zone (dns.providers) before then.`,
      },
    ];
  // RFC 8737: on port 443, where Certherd answers nothing.
  return /alpn/.test(validatedBy)
    ? [
        {
          code: "other_validation",
          sentence: `It was validated by ${validatedBy}, and is renewed by http-01: let port 80 lead to its ACMEPort.`,
        },
      ]
    : [];
}
