import type { Clock } from "../core/clock.ts";
import { AppError, type Disposition } from "../core/errors.ts";
import { Gate } from "../core/flow.ts";
import { exchange, NoAnswer, type Server, shownServer, type Transport } from "./exchange.ts";
import type { DnsProvider, TxtRecord } from "./provider.ts";
import { RCODES, rcodeOf, rcodeWord } from "./rcodes.ts";
import { sign, type TsigKey, verify } from "./tsig.ts";
import { updateMessage } from "./update.ts";

export interface Rfc2136Settings {
  server: Server;
  key: TsigKey;
  /** Seconds that resolvers may keep the record. */
  ttl: number;
  transport: Transport;
  /** Milliseconds for one UPDATE. */
  timeout: number;
}

/** UPDATEs under way at once: a server takes them one after the other, and writes each to its journal. */
const AT_ONCE = 4;

/** DNS UPDATE (RFC 2136), signed by a TSIG (RFC 8945). */
export function createRfc2136(settings: Rfc2136Settings, clock: Clock): DnsProvider {
  const gate = new Gate(AT_ONCE);
  const change = (how: "add" | "delete", record: TxtRecord): Promise<void> =>
    gate.run(() => update(how, record, settings, clock));
  return {
    present: (record) => change("add", record),
    cleanUp: (record) => change("delete", record),
  };
}

async function update(
  how: "add" | "delete",
  record: TxtRecord,
  { server, key, ttl, transport, timeout }: Rfc2136Settings,
  clock: Clock,
): Promise<void> {
  const request = sign(updateMessage(how, record, ttl), key, clock.now());
  let answer: Buffer;
  try {
    answer = await exchange(request.message, server, transport, timeout);
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    throw fault(
      server,
      `${error.why}: no UPDATE of ${record.zone} came through`,
      "dns_server_unreachable",
      "unavailable",
      error,
    );
  }
  const check = verify(answer, request, key, clock.now());
  const rcode = rcodeOf(answer);
  if ((check.kind === "unsigned" || check.kind === "good") && check.error !== 0)
    throw keyFault(server, key, check.error, "serverTime" in check ? check.serverTime : undefined, clock);
  // Servers that do not know UPDATE, or not this zone, may refuse without a signature: that is no success, and so no danger.
  if (rcode !== RCODES.NOERROR) throw refused(server, key, record, rcode);
  if (check.kind === "good") return;
  const what = check.kind !== "bad" ? "is not signed" : "has a signature that is wrong";
  throw fault(
    server,
    `took an UPDATE of ${record.zone}, but its answer ${what}, so nobody knows who sent it: look what stands between`,
    "dns_answer_unsigned",
    "unavailable",
  );
}

/** What the server has against the key, or the time (RFC 8945 §5.2). */
function keyFault(
  server: Server,
  { name, algorithm }: TsigKey,
  error: number,
  serverTime: number | undefined,
  clock: Clock,
): AppError {
  switch (error) {
    case RCODES.BADKEY:
      return fault(
        server,
        `does not know the key "${name}" with ${algorithm} (BADKEY): give the server that key, or correct name and algorithm`,
        "dns_key_unknown",
        "attention",
      );
    case RCODES.BADTIME: {
      const apart =
        serverTime === undefined ? "" : ` by ${Math.round(Math.abs(serverTime - clock.now()) / 1_000)} s`;
      return fault(
        server,
        `has another time than this host${apart} (BADTIME): set both clocks right (NTP)`,
        "dns_clock",
        "node",
      );
    }
    default:
      return fault(
        server,
        `does not accept what the key "${name}" has signed (${rcodeWord(error)}): the secret in keyFile is another one than the server's`,
        "dns_key_wrong",
        "attention",
      );
  }
}

function refused(server: Server, key: TsigKey, { name, zone }: TxtRecord, rcode: number): AppError {
  const word = rcodeWord(rcode);
  switch (rcode) {
    case RCODES.REFUSED:
      return fault(
        server,
        `does not let the key "${key.name}" change ${name} in ${zone} (${word}): allow it in allow-update or update-policy of that zone`,
        "dns_update_refused",
        "attention",
      );
    case RCODES.NOTAUTH:
      return fault(
        server,
        `is not the primary of ${zone} (${word}): give the zone's primary as server, or the right zone`,
        "dns_not_authoritative",
        "attention",
      );
    case RCODES.SERVFAIL:
      return fault(
        server,
        `failed to change ${zone} (${word}): its log says why`,
        "dns_server_failed",
        "unavailable",
      );
    default:
      return fault(
        server,
        `does not take an UPDATE of ${name} in ${zone} (${word}): its log says why`,
        "dns_update_failed",
        "attention",
      );
  }
}

function fault(
  server: Server,
  what: string,
  code: string,
  disposition: Disposition,
  cause?: unknown,
): AppError {
  return new AppError(`The name server ${shownServer(server)} ${what}.`, { code, disposition, cause });
}
