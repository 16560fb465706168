import { appendFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { SECRET_FILE } from "./atomic.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "Aug 28 14:15:01", local time, as syslog has it (RFC 3164 §4.1.2). */
export function syslogStamp(at: Date): string {
  const day = String(at.getDate()).padStart(2, " ");
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map((n) => String(n).padStart(2, "0"))
    .join(":");
  return `${MONTHS[at.getMonth()]} ${day} ${time}`;
}

/**
 * `certherd.log`: the lines that the original script wrote to lbadmin.log, which people grep. The file is opened
 * for each line, so that logrotate may move it away, and appended to by any number of processes.
 */
export class Logbook {
  readonly #path: string;

  constructor(home: string) {
    this.#path = join(home, "certherd.log");
  }

  async write(line: string, at: Date): Promise<void> {
    const host = hostname().split(".")[0];
    const text = line.replace(/\s+/g, " ");
    await appendFile(this.#path, `${syslogStamp(at)} ${host} lb-letsencrypt: ${text}\n`, {
      mode: SECRET_FILE,
    });
  }
}
