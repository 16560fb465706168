const NUMBER = new Intl.NumberFormat("en-GB");
const RELATIVE = new Intl.RelativeTimeFormat("en-GB", { numeric: "auto" });
const DATE_TIME = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function number(value: number): string {
  return NUMBER.format(value);
}

/** "3 certificates", "1 certificate". */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`;
}

export function dateTime(rfc3339: string | number): string {
  return DATE_TIME.format(new Date(rfc3339));
}

export function date(rfc3339: string | number): string {
  return DATE.format(new Date(rfc3339));
}

/** "in 3 hours", "2 days ago", "now". */
export function relative(rfc3339: string | number, now = Date.now()): string {
  const away = new Date(rfc3339).getTime() - now;
  const size = Math.abs(away);
  if (size < 10 * SECOND) return "now";
  if (size < MINUTE) return RELATIVE.format(Math.round(away / SECOND), "second");
  if (size < HOUR) return RELATIVE.format(Math.round(away / MINUTE), "minute");
  if (size < 2 * DAY) return RELATIVE.format(Math.round(away / HOUR), "hour");
  return RELATIVE.format(Math.round(away / DAY), "day");
}

/** "36 s", "4 min", "3 h 20 min", "2 d 4 h", of milliseconds. */
export function duration(ms: number): string {
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.round(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return pair(ms, HOUR, "h", MINUTE, "min");
  return pair(ms, DAY, "d", HOUR, "h");
}

function pair(ms: number, big: number, bigUnit: string, small: number, smallUnit: string): string {
  const rounded = Math.round(ms / small) * small;
  const rest = Math.round((rounded % big) / small);
  return `${Math.floor(rounded / big)} ${bigUnit}${rest === 0 ? "" : ` ${rest} ${smallUnit}`}`;
}
