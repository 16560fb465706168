/** A mail server that keeps what it is given. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressObject, simpleParser } from "mailparser";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { makeServerCert } from "./certs.ts";
import { freePort, removeDir, tempDir, waitUntil } from "./temp.ts";

export interface ReceivedMail {
  from: string;
  to: string[];
  subject: string;
  text: string;
  html: string;
  /** Whether it came after STARTTLS. */
  secure: boolean;
}

export interface SmtpOptions {
  /** Nothing listens on the port until setDown(false). */
  down?: boolean;
  /** Offers STARTTLS, with a certificate that `rootPath` signs. */
  startTls?: boolean;
}

export interface SmtpServer {
  readonly port: number;
  /** The root to trust for STARTTLS; absent without it. */
  readonly rootPath: string | undefined;
  readonly messages: ReceivedMail[];
  /** Waits until at least `n` mails have come, and answers them all. */
  waitFor(n: number, timeoutMs?: number): Promise<ReceivedMail[]>;
  /** Closes the port, or opens it again. */
  setDown(down: boolean): Promise<void>;
  stop(): Promise<void>;
}

export async function startSmtp(options: SmtpOptions = {}): Promise<SmtpServer> {
  const port = await freePort();
  const dir = tempDir("certherd-smtp");
  const messages: ReceivedMail[] = [];
  const cert = options.startTls ? await makeServerCert(dir) : undefined;
  const settings: SMTPServerOptions = {
    // Any user and password will do, or none.
    authOptional: true,
    allowInsecureAuth: true,
    disableReverseLookup: true,
    disabledCommands: cert ? [] : ["STARTTLS"],
    ...(cert && { cert: readFileSync(cert.certPath), key: readFileSync(cert.keyPath) }),
    onAuth: (auth, _session, done) => done(null, { user: auth.username ?? "anyone" }),
    onData: (stream, session, done) => {
      parseMail(stream, session.secure).then(
        (mail) => {
          messages.push(mail);
          done();
        },
        (error: Error) => done(error),
      );
    },
  };

  let server: SMTPServer | undefined;
  const setDown = async (down: boolean) => {
    if (down && server) {
      const closing = server;
      server = undefined;
      await new Promise<void>((resolve) => closing.close(resolve));
    } else if (!down && !server) {
      server = await listen(settings, port);
    }
  };
  await setDown(options.down ?? false);
  return {
    port,
    rootPath: cert?.rootPath,
    messages,
    async waitFor(n, timeoutMs = 10_000) {
      await waitUntil(() => messages.length >= n, { timeoutMs, what: `${n} mails` });
      return messages;
    },
    setDown,
    async stop() {
      await setDown(true);
      removeDir(dir);
    },
  };
}

async function listen(settings: SMTPServerOptions, port: number): Promise<SMTPServer> {
  const server = new SMTPServer({ ...settings, closeTimeout: 200 });
  await once(server.listen(port, "127.0.0.1"), "listening");
  // Clients that hang up in mid-sentence are the tests' business.
  server.on("error", () => undefined);
  return server;
}

async function parseMail(stream: NodeJS.ReadableStream, secure: boolean): Promise<ReceivedMail> {
  const mail = await simpleParser(stream as Parameters<typeof simpleParser>[0]);
  return {
    from: addresses(mail.from)[0] ?? "",
    to: addresses(mail.to),
    subject: mail.subject ?? "",
    text: mail.text ?? "",
    html: mail.html || "",
    secure,
  };
}

function addresses(field: AddressObject | AddressObject[] | undefined): string[] {
  return [field ?? []].flat().flatMap((group) => group.value.map((entry) => entry.address ?? ""));
}
