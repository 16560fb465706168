/** A client of server-sent events that can stop reading, on a socket of its own. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";

export interface SseEvent {
  id?: string;
  event?: string;
  data?: string;
}

export interface SseClient {
  status: number;
  response: IncomingMessage;
  events: SseEvent[];
  /** All that came, as it came. */
  text(): string;
  close(): void;
}

export async function listenTo(
  url: string,
  token: string,
  options: { lastEventId?: string; read?: boolean } = {},
): Promise<SseClient> {
  const { lastEventId, read = true } = options;
  const headers = {
    authorization: `Bearer ${token}`,
    ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
  };
  const asked = request(url, { headers, agent: false }).end();
  asked.on("error", () => undefined);
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  response.on("error", () => undefined);
  const events: SseEvent[] = [];
  let text = "";
  let rest = "";
  if (read)
    response.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const parts = (rest + chunk).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const event = Object.fromEntries(
          part
            .split("\n")
            .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
        );
        if (event.event !== undefined || event.data !== undefined) events.push(event);
      }
    });
  return {
    status: response.statusCode ?? 0,
    response,
    events,
    text: () => text,
    close: () => asked.destroy(),
  };
}
