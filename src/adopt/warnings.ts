import { providerFor } from "../dns/dns01.ts";
import type { Examined } from "./examine.ts";
import type { Found } from "./found.ts";
import { challengeFor, type KnownAs } from "./record.ts";

export interface Warning {
  code: "ca_not_configured" | "ca_not_told" | "dns_provider_needed" | "key_type_changes" | "other_validation";
  /** Without the certificate's name, as many have the same. */
  sentence: string;
}

/** The configuration, as far as renewals go by it. */
export interface RenewedBy {
  /** The first CA. */
  ca: string;
  dnsProviders: readonly { zones: readonly string[] }[];
}

/** What will be different at its renewal. */
export function warningsFor(
  examined: Pick<Examined, "names" | "keyType" | "oddKey">,
  found: Pick<Found, "challenge" | "validatedBy" | "directory">,
  ca: KnownAs | undefined,
  by: RenewedBy,
): Warning[] {
  const challenge = challengeFor(examined.names, found.challenge);
  return [
    ...aboutCa(found.directory, ca, by.ca),
    ...(challenge === "dns-01"
      ? aboutDns(examined.names, found.validatedBy, by.dnsProviders)
      : aboutHttp(found.validatedBy)),
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
        code: "ca_not_told",
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

function aboutDns(
  names: readonly string[],
  validatedBy = "dns-01",
  providers: RenewedBy["dnsProviders"],
): Warning[] {
  const hosts = names.map((name) => `_acme-challenge.${name.replace(/^\*\./, "")}`);
  if (hosts.every((host) => providerFor(providers, host) !== undefined)) return [];
  return [
    {
      code: "dns_provider_needed",
      sentence: `It was validated by ${validatedBy}, and is renewed by dns-01: configure a DNS provider for its zone (dns.providers), unless a CNAME leads into one that has one.`,
    },
  ];
}

/** RFC 8737 is on port 443, where Certherd answers nothing. */
function aboutHttp(validatedBy = ""): Warning[] {
  if (!validatedBy.includes("alpn")) return [];
  return [
    {
      code: "other_validation",
      sentence: `It was validated by ${validatedBy}, and is renewed by http-01: let port 80 lead to its ACMEPort.`,
    },
  ];
}
