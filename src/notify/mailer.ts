import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { createTransport, type NodemailerError, type SMTPPoolOptions } from "nodemailer";
import type { MailRoute } from "../core/certificate.ts";
import { RelayPolicy } from "../core/relays.ts";

/** Milliseconds for each of: connecting, the relay's greeting, its answer to each command. */
const TIMEOUT = 20_000;
/** An idle connection is closed politely, before the timeout of its socket ends it. */
const IDLE_TIMEOUT = 10_000;
const OPEN_TRANSPORTS = 20;
/** Of one relay that are tried for one mail. */
const MOST_ADDRESSES = 4;

export interface OutgoingMail {
  route: MailRoute;
  from: string;
  subject: string;
  text: string;
  html: string;
  /** With the angle brackets. The same for every try, so that mail programs show a repeat once. */
  messageId: string;
}

/**
 * Why a mail was not sent, with the relay's words:
 * - refused:  this mail is not wanted, now or later (5xx).
 * - deferred: this mail is not wanted now (4xx).
 * - relay:    the relay is not there, or does not do its work, for any mail.
 */
export class MailFailure extends Error {
  readonly kind: "refused" | "deferred" | "relay";
  /** Whether the relay may have taken it all the same. */
  readonly unclear: boolean;

  constructor(message: string, kind: MailFailure["kind"], unclear: boolean, cause: unknown) {
    super(message, { cause });
    this.name = "MailFailure";
    this.kind = kind;
    this.unclear = unclear;
  }
}

export interface MailerOptions {
  /** Milliseconds for each step of the conversation. */
  timeout?: number;
  /** Which relays whoever asks over HTTP may name; public addresses alone when left out. */
  relays?: RelayPolicy;
  /** In place of the system's look-up, for tests. */
  resolve?: (host: string) => Promise<readonly string[]>;
}

const systemResolve = async (host: string): Promise<string[]> =>
  (await lookup(host, { all: true })).map(({ address }) => address);

type Transport = ReturnType<typeof openTransport>;

interface Open {
  transport: Transport;
  sending: number;
}

/** Sends mails, with one pool of connections for each relay; the least recently used pool beyond 20 is closed. */
export class Mailer {
  /** By relay and kind, the least recently used first. */
  readonly #open = new Map<string, Open>();
  readonly #timeout: number;
  readonly #relays: RelayPolicy;
  readonly #resolve: (host: string) => Promise<readonly string[]>;

  constructor(options: MailerOptions = {}) {
    this.#timeout = options.timeout ?? TIMEOUT;
    this.#relays = options.relays ?? new RelayPolicy([]);
    this.#resolve = options.resolve ?? systemResolve;
  }

  /** Resolves when the relay has taken the mail; throws a MailFailure otherwise. */
  async send(mail: OutgoingMail): Promise<void> {
    const hosts = await this.#hostsOf(mail.route);
    for (const [index, host] of hosts.entries()) {
      try {
        await this.#sendBy(mail, host);
        return;
      } catch (thrown) {
        const error = thrown as NodemailerError;
        // A name may have an address that nobody answers at; nothing was sent to that one.
        const next = index + 1 < hosts.length && NEVER_CONNECTED.includes(error.originalCode ?? "");
        if (!next) throw failureOf(error);
      }
    }
  }

  async #sendBy(mail: OutgoingMail, host: string): Promise<void> {
    try {
      await this.#attempt(mail, host, true);
    } catch (thrown) {
      if (!isTlsFailure(thrown as NodemailerError)) throw thrown;
      // The relay offers what it cannot do. Encryption is what we would like, the mail is what is needed.
      await this.#attempt(mail, host, false);
    }
  }

  /**
   * What to connect to. For a relay that was named over HTTP these are addresses that were looked at just now, and not
   * its name, which may lead elsewhere a moment later. Throws a MailFailure.
   */
  async #hostsOf({ relay, port, checked }: MailRoute): Promise<readonly string[]> {
    if (!checked || this.#relays.allowsName(relay, port)) return [relay];
    const addresses = isIP(relay) === 0 ? await this.#lookUp(relay) : [relay];
    const fault = this.#relays.faultOf(relay, port, addresses);
    if (fault !== undefined) throw new MailFailure(`${relay}: ${fault}`, "refused", false, undefined);
    return addresses.slice(0, MOST_ADDRESSES);
  }

  async #lookUp(relay: string): Promise<readonly string[]> {
    try {
      const addresses = await this.#resolve(relay);
      if (addresses.length > 0) return addresses;
    } catch (error) {
      throw new MailFailure(`${relay} cannot be looked up: ${codeOf(error)}`, "relay", false, error);
    }
    throw new MailFailure(`${relay} has no address`, "relay", false, undefined);
  }

  close(): void {
    for (const name of [...this.#open.keys()]) this.#drop(name);
  }

  async #attempt(mail: OutgoingMail, host: string, tls: boolean): Promise<void> {
    const entry = this.#use(mail.route, host, tls);
    entry.sending++;
    try {
      await entry.transport.sendMail({
        from: headerSafe(mail.from),
        to: headerSafe(mail.route.to),
        subject: headerSafe(mail.subject),
        text: mail.text,
        html: mail.html,
        messageId: headerSafe(mail.messageId),
        // RFC 3834 §5: out-of-office replies and the like are not wanted.
        headers: { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All" },
        // A relay may answer every command just in time, and so keep others waiting.
        signal: AbortSignal.timeout(3 * this.#timeout),
      });
    } finally {
      entry.sending--;
    }
  }

  #use(route: MailRoute, host: string, tls: boolean): Open {
    const name = `${relayName(route)} ${host} ${tls ? "tls" : "plain"}`;
    const entry = this.#open.get(name) ?? {
      transport: openTransport(route, host, tls, this.#timeout),
      sending: 0,
    };
    this.#open.delete(name);
    this.#open.set(name, entry);
    if (this.#open.size > OPEN_TRANSPORTS) {
      const idle = [...this.#open].find(([other, { sending }]) => sending === 0 && other !== name);
      if (idle) this.#drop(idle[0]);
    }
    return entry;
  }

  #drop(name: string): void {
    this.#open.get(name)?.transport.close();
    this.#open.delete(name);
  }
}

export function relayName(route: MailRoute): string {
  return `${route.relay.toLowerCase()}:${route.port}`;
}

/** `host`: the relay, or the one of its addresses that is connected to. */
function openTransport(route: MailRoute, host: string, tls: boolean, timeout: number) {
  const options: SMTPPoolOptions & { pool: true } = {
    pool: true,
    host,
    port: route.port,
    // Port 465 speaks TLS from the first byte (RFC 8314 §3.3).
    secure: route.port === 465,
    ignoreTLS: !tls,
    // A relay that answers STARTTLS with a refusal gets the mail in the clear.
    opportunisticTLS: true,
    // Relays inside a network mostly have self-signed certificates. Refusing those would only bring the mail onto
    // the wire in the clear, or nowhere; what it is kept from so is listening (RFC 7435), and it holds no secret.
    tls: { rejectUnauthorized: false, ...(isIP(route.relay) === 0 ? { servername: route.relay } : {}) },
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    dnsTimeout: timeout,
    idleTimeout: Math.min(IDLE_TIMEOUT, timeout / 2),
    maxRequeues: 2,
    // What a mail says comes from outside; it must not make nodemailer fetch anything.
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  const transport = createTransport(options);
  // Every failure reaches the caller of sendMail; an idle connection's end is nobody's business.
  transport.on("error", () => undefined);
  return transport;
}

/** Control characters would begin a header of their own. */
function headerSafe(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();
}

const CODES_OF_THE_MAIL = ["EENVELOPE", "EMESSAGE"];
/** Waits that end before the mail is handed over. */
const EARLY_TIMEOUTS = ["CONNECT_TIMEOUT", "GREETING_TIMEOUT", "UPGRADE_TIMEOUT"];
const NEVER_CONNECTED = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN"];

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

/** A handshake that the other side ended is reported as the socket's error. */
function isTlsFailure(error: NodemailerError): boolean {
  return error.code === "ETLS" || /^ERR_(SSL|TLS)/.test(error.originalCode ?? "");
}

function failureOf(error: NodemailerError): MailFailure {
  const code = error.responseCode;
  const message = headerSafe(error.message).slice(0, 300);
  // 421 closes the connection (RFC 5321 §3.8); 530 asks any mail for a login or for TLS (RFC 4954 §6).
  if (CODES_OF_THE_MAIL.includes(error.code ?? "") && code !== 421 && code !== 530) {
    const forGood = code === undefined || error.permanent === true;
    return new MailFailure(message, forGood ? "refused" : "deferred", false, error);
  }
  const early =
    code !== undefined ||
    EARLY_TIMEOUTS.includes(error.timeoutType ?? "") ||
    NEVER_CONNECTED.includes(error.originalCode ?? "") ||
    error.code === "EDNS" ||
    isTlsFailure(error);
  return new MailFailure(message, "relay", !early, error);
}
