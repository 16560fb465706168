import type { CertificateRecord } from "./certificate.ts";
import type { StoredError } from "./errors.ts";
import type { FailureCode } from "./failure-codes.ts";

const RETRY = "then retry it";

/** What a person does about an error, by its code; docs/errors.md says more of each. */
const CURES: Readonly<Partial<Record<FailureCode, string>>> = {
  resolver_failed:
    "Look at this host's resolver, or set CERTHERD_DNS; of one name alone, have its zone and its DNSSEC mended.",
  vip_unreachable: "Let this host reach the VIP: mend the load balancer, the firewall or hairpin NAT.",
  vip_wrong_backend: "Have the load balancer send /.well-known/acme-challenge/ to the ACMEPort.",
  hairpin: "Configure `vips`, or let this host reach the address that the name points to.",
  no_probe_came_back:
    "Configure `vips`, or have the load balancer send /.well-known/acme-challenge/ to the ACMEPort.",
  no_route: "Give this host a route to where the name points (IPv6 too).",
  dns_provider_missing: `Add a DNS provider for the zone to dns.providers, or a CNAME that leads to one, ${RETRY}.`,
  dns_delegation: `Let the CNAMEs of _acme-challenge end at a name without one, ${RETRY}.`,
  connection: "Let the name point here, and port 80 lead to the ACMEPort.",
  dns: "Have the zone mended, and its DNSSEC.",
  tls: "Do not redirect /.well-known/acme-challenge/ to HTTPS.",
  unauthorized: "Send /.well-known/acme-challenge/ to Certherd, on every node and address that the name has.",
  incorrect_response:
    "Send /.well-known/acme-challenge/ to Certherd, on every node and address that the name has.",
  caa: "Have the CAA record changed so that it allows the CA.",
  rejected_identifier: "Take the name out of its row, and import it again.",
  unsupported_identifier: "Take the name out of its row, and import it again.",
  given_up: `Mend what has failed, ${RETRY}; or take the name out.`,
  paused_by_ca: "Ask the CA to let the name go on, then resume it.",
  failed_authorizations: "Mend what the failures before it said; it is tried again by itself.",
  user_action_required: `Do what the CA asks for, run certherd account agree, ${RETRY}.`,
  account_does_not_exist: `Look at the account with certherd account show, ${RETRY}.`,
  external_account_required: `Configure the CA's external account binding, ${RETRY}.`,
  unsupported_contact: `Correct the account's mail address, ${RETRY}.`,
  invalid_contact: `Correct the account's mail address, ${RETRY}.`,
  bad_signature_algorithm: `Look at the account with certherd account show, ${RETRY}.`,
  registration_failed: `Mend what the CA says about the account, ${RETRY}.`,
  bad_csr: "Ask for it with another KeyType.",
  bad_public_key: "Ask for it with another KeyType.",
  profile_unknown: "Correct its Profile and import it again, or correct the CA's profile and retry it.",
  profile_names: "Ask for it with another Profile, or in several rows.",
  malformed: "Correct its Profile; otherwise report it.",
  invalid_profile: "Correct its Profile; otherwise report it.",
  rate_limited: "Nothing; or ask the CA for a higher limit.",
  ca_unreachable: "Look at the firewall, the proxy and CERTHERD_CA_ROOT; certherd doctor asks the CA too.",
  ca_answer: "Report it to the CA if it lasts.",
  no_challenge: "Ask for it with another Challenge; this CA does not offer that one for the name.",
  order_invalid: "Report it to the CA if it lasts.",
  bad_chain: "Look at this host's clock.",
  key_lost: "See to it that nobody but Certherd writes to its folder.",
  dns_not_propagated: "Mend the name server that the message names, or its transfers.",
  dns_server_unreachable: "Start the name server that takes the UPDATE, or open the firewall to it.",
  dns_server_failed: "Look at the log of the name server that takes the UPDATE.",
  dns_answer_unsigned: "Look what stands between this host and the name server.",
  dns_update_refused: `Allow the key to change the name (update-policy), ${RETRY}.`,
  dns_not_authoritative: `Correct server or zone of the DNS provider, ${RETRY}.`,
  dns_key_unknown: `Give the name server and the DNS provider the same key, ${RETRY}.`,
  dns_key_wrong: `Give the name server and the DNS provider the same key, ${RETRY}.`,
  dns_clock: `Set the clocks of this host and the name server right, ${RETRY}.`,
  dns_update_failed: `Look at the log of the name server, mend it, ${RETRY}.`,
  dns_hook_failed: "Mend the program of the DNS provider; the message has what it printed.",
  dns_provider_gone: `Put the DNS provider back into the configuration, ${RETRY}.`,
  acme_port_taken: `Stop the program that has the ACMEPort (ss -ltnp), or use another one, ${RETRY}.`,
  no_responder: `Start certherd up, or the respond worker, ${RETRY}.`,
  disk_full: "Make room on the disk of CERTHERD_HOME.",
  disk_unavailable: "Look at the disk, and at owner and mode of CERTHERD_HOME.",
  internal: "Report it, with what the log says.",
  node_unreachable: "Start the node, or correct its settings.",
  node_busy: "End the transaction that somebody has open in HAProxy: abort ssl cert FILE.",
  node_misconfigured: "Mend what the message says; certherd doctor looks at all of it.",
  appliance_not_pinned: "Correct the appliance's fingerprint, if it has a new certificate.",
  target_refused: `Mend what the node says, ${RETRY}.`,
  bundle_too_large: `Raise HAProxy's tune.bufsize and restart it, or use an EC key, ${RETRY}.`,
  command_failed: `Mend the program; the message has what it printed. Then retry it.`,
  not_served: `Look at the node's address and port, and who listens there, ${RETRY}.`,
  files_missing: `Give all hosts the same CERTHERD_STORE_KEY, ${RETRY}.`,
};

/** One short sentence: what a person has to do so that it goes on. Undefined where nobody has to do anything. */
export function todoOf({
  status,
  reason,
  error,
}: Pick<CertificateRecord, "status" | "reason" | "error">): string | undefined {
  switch (status) {
    case "paused":
      return "Resume it when it may go on.";
    case "waiting":
      if (reason === "limit" || error === undefined) return undefined;
      return byError(error);
    case "attention":
      return (error && byError(error)) ?? `Mend what the message says, ${RETRY}.`;
    default:
      return undefined;
  }
}

function byError({ code, url, records = [] }: StoredError): string | undefined {
  if (records.length > 0)
    return `Have the owner of the domain change DNS: ${records.map(change).join("; ")}.`;
  if (url !== undefined)
    return code === "paused_by_ca"
      ? `Open ${url}, then resume it.`
      : `Open ${url} and do what the CA asks for, ${RETRY}.`;
  return Object.hasOwn(CURES, code) ? CURES[code as FailureCode] : undefined;
}

function change({ name, type, set }: NonNullable<StoredError["records"]>[number]): string {
  return set === undefined ? `remove ${name} ${type}` : `set ${name} ${type} ${set}`;
}
