import { useEffect, useRef } from "preact/hooks";

/** One step of one certificate, as GET /v1/events tells it. */
export interface LiveEvent {
  id: string;
  at: string;
  name: string;
  what: string;
  detail?: string;
  status?: string;
}

type Listener = (event: LiveEvent) => void;

/** Milliseconds until a refused stream is asked for again. */
const AGAIN = 5_000;
/** Events to begin with, and to keep. */
const RECENT = 12;

let recent: readonly LiveEvent[] = [];
const listeners = new Set<Listener>();
let source: EventSource | undefined;

/** One connection for the whole page, while anybody listens. */
export function listen(listener: Listener): () => void {
  listeners.add(listener);
  source ??= open();
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    source?.close();
    source = undefined;
  };
}

function open(): EventSource {
  const opened = new EventSource(`/v1/events?plain=true&recent=${RECENT}`);
  opened.addEventListener("message", (message: MessageEvent<string>) => {
    const event = parse(message);
    if (event) tell(event);
  });
  opened.addEventListener("error", () => {
    // A connection that broke off is made again by the browser; one that was refused is not.
    if (opened.readyState !== EventSource.CLOSED) return;
    setTimeout(() => {
      if (source === opened) source = listeners.size > 0 ? open() : undefined;
    }, AGAIN);
  });
  return opened;
}

function tell(event: LiveEvent): void {
  // Another stream begins with the newest ones, which may have been told of.
  if (recent.some(({ id }) => id === event.id)) return;
  recent = [event, ...recent].slice(0, RECENT);
  for (const listener of listeners) listener(event);
}

/** The newest events, newest first, as far as this page was told of them. */
export function recentEvents(): readonly LiveEvent[] {
  return recent;
}

function parse(message: MessageEvent<string>): LiveEvent | undefined {
  try {
    return { ...(JSON.parse(message.data) as LiveEvent), id: message.lastEventId };
  } catch {
    return undefined;
  }
}

/** Calls back for each event of those certificates that are of interest, while the component is there. */
export function useEvents(listener: Listener): void {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => listen((event) => latest.current(event)), []);
}
