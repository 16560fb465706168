import { createSocket } from "node:dgram";
import { connect, isIP } from "node:net";

/** Where a name server listens. */
export interface Server {
  address: string;
  port: number;
}

export type Transport = "udp" | "tcp";

/** No answer, or none of use. `why` goes on from the server's name: "does not answer". */
export class NoAnswer extends Error {
  readonly why: string;
  /** This host has no way to that address at all, which says nothing about the server. */
  readonly noRoute: boolean;

  constructor(why: string, { noRoute = false, cause }: { noRoute?: boolean; cause?: unknown } = {}) {
    super(why, cause === undefined ? undefined : { cause });
    this.name = "NoAnswer";
    this.why = why;
    this.noRoute = noRoute;
  }
}

export function shownServer({ address, port }: Server): string {
  return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * Sends one message and gives the answer with the same id (RFC 1035 §4.2). Over UDP it is sent a second time at half of
 * the time limit. `timeout`: milliseconds. Throws NoAnswer.
 */
export async function exchange(
  message: Buffer,
  server: Server,
  transport: Transport,
  timeout: number,
): Promise<Buffer> {
  return await (transport === "udp" ? overUdp(message, server, timeout) : overTcp(message, server, timeout));
}

function overUdp(message: Buffer, { address, port }: Server, timeout: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(address) === 6 ? "udp6" : "udp4");
    const end = (settle: () => void): void => {
      clearTimeout(again);
      clearTimeout(late);
      socket.close();
      settle();
    };
    const send = (): void => socket.send(message, (error) => error && fail(error));
    const fail = (error: Error): void => {
      if (!ended) end(() => reject(noAnswer(error)));
      ended = true;
    };
    let ended = false;
    const again = setTimeout(send, timeout / 2);
    const late = setTimeout(() => fail(new NoAnswer("does not answer")), timeout);
    socket.on("error", fail);
    socket.on("message", (answer) => {
      // Connected, so from that server alone; what is no answer to this may be an earlier one, or forged.
      if (ended || !isAnswer(answer, message)) return;
      ended = true;
      end(() => resolve(answer));
    });
    // Connected, so that a closed port is told at once. The event comes with an error too, in the place of `error`.
    socket.connect(port, address, ((error?: Error) => (error ? fail(error) : send())) as () => void);
  });
}

function overTcp(message: Buffer, { address, port }: Server, timeout: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    let received = Buffer.alloc(0);
    const fail = (error: Error): void => {
      clearTimeout(late);
      socket.destroy();
      reject(noAnswer(error));
    };
    const late = setTimeout(() => fail(new NoAnswer("does not answer")), timeout);
    socket.on("error", fail);
    socket.on("close", () => fail(new NoAnswer("closes the connection without an answer")));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      const length = received.length < 2 ? Number.POSITIVE_INFINITY : received.readUInt16BE(0);
      if (received.length < length + 2) return;
      const answer = received.subarray(2, length + 2);
      if (!isAnswer(answer, message)) return fail(new NoAnswer("answers something else"));
      clearTimeout(late);
      socket.destroy();
      resolve(answer);
    });
    const head = Buffer.alloc(2);
    head.writeUInt16BE(message.length);
    socket.write(Buffer.concat([head, message]));
  });
}

const HEADER = 12;

function isAnswer(answer: Buffer, message: Buffer): boolean {
  return (
    answer.length >= HEADER && answer.readUInt16BE(0) === message.readUInt16BE(0) && (answer[2] ?? 0) >= 128
  );
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refuses the connection",
  ECONNRESET: "closes the connection without an answer",
  EHOSTUNREACH: "cannot be reached from this host",
  ENETUNREACH: "cannot be reached from this host",
  EADDRNOTAVAIL: "cannot be reached from this host",
  ETIMEDOUT: "does not answer",
};
const NO_ROUTE = new Set(["ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT"]);

function noAnswer(error: Error): NoAnswer {
  if (error instanceof NoAnswer) return error;
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const why = WORDS[code] ?? `does not answer (${error.message})`;
  return new NoAnswer(why, { noRoute: NO_ROUTE.has(code), cause: error });
}
