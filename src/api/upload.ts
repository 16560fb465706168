import type { IncomingMessage } from "node:http";
import { RequestError } from "./problems.ts";

/** A body as it comes in. Reading it to its end, or not, leaves the connection open for the answer. */
export class Upload implements AsyncIterable<Uint8Array> {
  readonly #request: IncomingMessage;
  #givenUp = false;

  /** Refuses at once what announces itself as too large, or as something else than plain bytes. */
  constructor(request: IncomingMessage, maxBytes: number) {
    this.#request = request;
    const { "content-encoding": encoding = "identity", "content-type": type = "" } = request.headers;
    if (encoding !== "identity")
      throw new RequestError(415, "content_encoding", "Send the CSV as it is, without Content-Encoding.");
    const charset = /;\s*charset="?([\w-]+)/i.exec(type)?.[1]?.toLowerCase() ?? "utf-8";
    if (!["utf-8", "utf8", "us-ascii"].includes(charset))
      throw new RequestError(415, "csv_encoding", `The CSV has to be in UTF-8, and not in ${charset}.`);
    if (Number(request.headers["content-length"] ?? 0) > maxBytes)
      throw new RequestError(
        413,
        "csv_too_large",
        `The body has more than ${maxBytes} bytes, the most that is taken: split it.`,
      );
  }

  /** Whoever still reads must not take what is missing for the end of the file. */
  giveUp(): void {
    this.#givenUp = true;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#request.iterator({ destroyOnReturn: false })) {
      if (this.#givenUp) throw new Error("The upload was given up.");
      yield chunk as Uint8Array;
    }
    if (this.#givenUp) throw new Error("The upload was given up.");
  }
}
