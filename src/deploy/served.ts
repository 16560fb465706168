import { createHash, X509Certificate } from "node:crypto";
import { connect, isIPv6, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { createSecureContext, type SecureContext, type TLSSocket, connect as tlsConnect } from "node:tls";
import { AppError } from "../core/errors.ts";
import { certificatesIn } from "./flight.ts";

export interface Place {
  address: string;
  port: number;
}

/** What came for one name. */
export interface Served {
  /** Of the leaf, upper-case hex as openssl prints it; "" where no certificate came. */
  serial: string;
  /** SHA-256 of each certificate of the chain exactly as sent, the leaf's first: upper-case hex without colons. */
  fingerprints: readonly string[];
  /** Why no certificate came, though somebody listens there; goes on from "because". */
  refusal?: string;
}

export interface AskOptions {
  /** Milliseconds for all of it. */
  timeout: number;
  signal?: AbortSignal;
}

/** Milliseconds that a server has to close its side. */
const LINGER = 1_000;

let shared: SecureContext | undefined;

/** No roots: nothing is verified here, and to read Node's own takes a while. */
function context(): SecureContext {
  shared ??= createSecureContext({ ca: [], minVersion: "TLSv1.2" });
  return shared;
}

/**
 * Asks for a name by a handshake of its own (SNI, no ALPN, no resumption), and verifies nothing of what comes. Rejects
 * with `node_unreachable` (unavailable) where nobody takes the connection, or it ends before a certificate or an
 * answer of TLS, and with the signal's reason once it is aborted.
 */
export async function served(at: Place, serverName: string, options: AskOptions): Promise<Served> {
  const { timeout, signal } = options;
  signal?.throwIfAborted();
  const raw = connect({ host: at.address, port: at.port });
  let stop = (_reason: unknown): void => undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = reject;
  });
  const onAbort = () => stop(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(
    () => stop(unreachable(at, `does not answer within ${timeout / 1_000} s`)),
    timeout,
  );
  try {
    return await Promise.race([stopped, shake(raw, at, serverName)]);
  } catch (error) {
    raw.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function shake(raw: Socket, at: Place, servername: string): Promise<Served> {
  return new Promise((resolve, reject) => {
    const sent: Buffer[] = [];
    let secret: Buffer | undefined;
    const chain = () => certificatesIn(Buffer.concat(sent), secret);
    raw.on("error", (error) => reject(unreachable(at, why(error, raw))));
    const keep = (chunk: Buffer) => void sent.push(chunk);
    raw.on("data", keep);
    const options = { socket: tap(raw), secureContext: context(), servername, rejectUnauthorized: false };
    const socket = tlsConnect(options);
    socket.on("keylog", (line: Buffer) => {
      const [label, , hex = ""] = line.toString("latin1").trim().split(" ");
      if (label === "SERVER_HANDSHAKE_TRAFFIC_SECRET") secret = Buffer.from(hex, "hex");
    });
    const settle = (result: () => Served) => {
      try {
        resolve(result());
      } catch (error) {
        reject(error);
      }
    };
    socket.once("secureConnect", () => {
      settle(() => seen(chain()));
      raw.off("data", keep);
      part(socket, raw);
    });
    socket.on("error", (error) => {
      // After a rejection or an answer of before, this changes nothing any more.
      settle(() => failed(at, error, raw, chain));
      raw.destroy();
    });
  });
}

/** The connection as a stream of its own: what TLS is given a socket's handle for passes us unseen. */
function tap(raw: Socket): Duplex {
  const stream = new Duplex({
    read: () => raw.resume(),
    write: (chunk: Buffer, _encoding, done) => void raw.write(chunk, done),
    final: (done) => void raw.end(done),
    destroy: (error, done) => {
      raw.destroy();
      done(error);
    },
  });
  raw.on("data", (chunk: Buffer) => {
    if (!stream.push(chunk)) raw.pause();
  });
  raw.on("end", () => stream.push(null));
  raw.on("close", () => stream.destroy());
  return stream;
}

/** Says goodbye (RFC 8446 §6.1) and waits a moment for the other side to do so; a reset would be logged there. */
function part(socket: TLSSocket, raw: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER);
  raw.once("close", () => {
    clearTimeout(timer);
    socket.destroy();
  });
  socket.on("end", () => socket.destroy());
  socket.resume().end();
  raw.unref();
  timer.unref();
}

function seen(chain: readonly Buffer[]): Served {
  const [leaf] = chain;
  if (!leaf) return { serial: "", fingerprints: [], refusal: "it has sent no certificate" };
  return {
    serial: new X509Certificate(leaf).serialNumber.toUpperCase(),
    fingerprints: chain.map(fingerprint),
  };
}

export function fingerprint(der: Buffer): string {
  return createHash("sha256").update(der).digest("hex").toUpperCase();
}

/** An answer of TLS, or of somebody who does not speak it, is an answer; a connection that ends is none. */
function failed(
  at: Place,
  error: NodeJS.ErrnoException,
  raw: Socket,
  chain: () => readonly Buffer[],
): Served {
  const { code = "", reason = "", message } = error as NodeJS.ErrnoException & { reason?: string };
  if (!code.startsWith("ERR_SSL_") && code !== "EPROTO") throw unreachable(at, why(error, raw));
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER")
    return { serial: "", fingerprints: [], refusal: "it does not speak TLS on this port" };
  if (!/SSL alert number \d+/.test(message))
    return { serial: "", fingerprints: [], refusal: `the handshake fails (${reason || code})` };
  // Whoever shows its certificate first only wants one of ours (TLS 1.2 with client certificates).
  const shown = chain();
  if (shown.length > 0) return seen(shown);
  const alert = reason.replace(/^(sslv3|tlsv1|tlsv13)( alert)? /, "");
  return { serial: "", fingerprints: [], refusal: `it answers with the TLS alert "${alert}"` };
}

function why(error: NodeJS.ErrnoException, raw: Socket): string {
  // Of a name with several addresses (localhost) one error each.
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error;
  if (first.code === "ECONNREFUSED") return "refuses the connection";
  const connected = raw.bytesWritten > 0 || raw.remoteAddress !== undefined || first.code === "ECONNRESET";
  if (connected) return "breaks off the connection before it shows a certificate";
  return `cannot be reached from this host (${first.code ?? first.message})`;
}

function unreachable({ address, port }: Place, what: string): AppError {
  const where = isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
  return new AppError(`The node at ${where} ${what}. Look whether it is up and listens there.`, {
    code: "node_unreachable",
    disposition: "unavailable",
  });
}
