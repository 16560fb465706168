import { kindOf, type StreamedEvent } from "../../store/event-stream.ts";

/** One event as it goes over the wire (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export interface Frame {
  id: string;
  data: Buffer;
  /** The same without the event's kind, so that one handler of a browser is told of all kinds. */
  plain: Buffer;
}

/** Several frames, each form in one piece. */
export type Batch = Pick<Frame, "data" | "plain">;

/** Keeps the connection open, and shows which clients do not read. */
export const HEARTBEAT = Buffer.from(":\n\n");

export function frameOf(event: StreamedEvent): Frame {
  const { id, ...data } = event;
  const rest = `data: ${JSON.stringify(data)}\n\n`;
  return {
    id,
    data: Buffer.from(`id: ${id}\nevent: ${kindOf(event)}\n${rest}`),
    plain: Buffer.from(`id: ${id}\n${rest}`),
  };
}

export function batchOf(frames: readonly Frame[]): Batch {
  return {
    data: Buffer.concat(frames.map(({ data }) => data)),
    plain: Buffer.concat(frames.map(({ plain }) => plain)),
  };
}

/** Tells that events before `oldest` are not kept any more: what was shown has to be asked for anew. */
export function resetFrame(oldest: string): Buffer {
  return Buffer.from(`event: reset\ndata: ${JSON.stringify({ oldest })}\n\n`);
}

/** Milliseconds after which a client comes back, not all of them at once. */
export function retryFrame(random: () => number = Math.random): Buffer {
  return Buffer.from(`retry: ${2_000 + Math.floor(random() * 3_000)}\n\n`);
}
