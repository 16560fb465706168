import { randomUUID } from "node:crypto";
import {
  type CertificateRecord,
  type CertificateSpec,
  certificateId,
  type MailRoute,
} from "../core/certificate.ts";
import { grouped } from "../core/grouped.ts";
import type { Producer } from "../queue/producer.ts";
import type { ImportStore, NotifyMode } from "../store/imports.ts";
import type { MailBoxes } from "../store/mailboxes.ts";
import { BOXES, mailGroup } from "./groups.ts";

/** Milliseconds that a call for a person waits for others, as what fails together is to be one mail. */
export const NOW_DELAY = 3_000;
/** Milliseconds between two mails about what has changed after an import's digest. */
export const LATER_DELAY = 86_400_000;

/** Mail jobs queued at once for an import with a recipient of its own for each row. */
const CHUNK = 100;

export interface NotifierOptions {
  boxes: MailBoxes;
  producer: Producer;
  imports: ImportStore;
  /** The sender where a row names none. */
  defaultFrom?: string;
  /** For imports that are not known any more; "off" silences single enqueues too. */
  defaultMode: NotifyMode;
  /** Whom to tell what is not about one certificate alone. */
  operator?: MailRoute;
  /** Milliseconds; NOW_DELAY and LATER_DELAY when left out. */
  nowDelay?: number;
  laterDelay?: number;
}

/** Decides who is told what and when; the mail itself is a job. Every call may be repeated after a crash. */
export class Notifier {
  readonly #options: NotifierOptions;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** Notes whom an import's digest is to tell about these certificates. */
  async address(importId: string, specs: readonly CertificateSpec[]): Promise<void> {
    const { boxes, defaultFrom } = this.#options;
    if ((await this.#mode(importId)) !== "digest") return;
    const entries = specs.flatMap(({ names, mail }) =>
      mail ? [{ id: certificateId(names[0] ?? ""), group: mailGroup(mail, defaultFrom), route: mail }] : [],
    );
    await boxes.address(importId, entries);
  }

  /** A certificate has come to rest. `awaited`: the digest of its import is still to come. */
  async settled(record: CertificateRecord, info: { awaited: boolean }): Promise<void> {
    if (record.spec.mail === undefined || !isNews(record)) return;
    const mode = await this.#mode(record.importId);
    if (mode === "off") return;
    const { nowDelay = NOW_DELAY, laterDelay = LATER_DELAY } = this.#options;
    if (record.status === "attention") await this.#put(record, BOXES.now, nowDelay);
    // Nobody waits for a renewal: those of a day are one mail.
    else if (mode === "each" && !isRenewed(record)) await this.#put(record, BOXES.each(record.id), 0);
    else if (!info.awaited) await this.#put(record, BOXES.later, laterDelay);
  }

  /** All certificates of an import have come to rest: its digests are queued, one for each mail group. */
  async importEnded(importId: string): Promise<void> {
    const { boxes, producer } = this.#options;
    const wanted = (await this.#mode(importId)) === "digest";
    const groups = wanted ? await boxes.groups(importId) : [];
    for (let from = 0; from < groups.length; from += CHUNK)
      await Promise.all(
        groups.slice(from, from + CHUNK).map((group) => producer.mail({ box: importId, group })),
      );
    // Last, as a process that dies before leaves it to the next start.
    await boxes.finishImport(importId, { discard: !wanted });
  }

  /**
   * What a person has to know of at once and is not about one certificate alone, in one mail: to the operator, or where
   * none is configured to whoever is told of the certificate in hand.
   */
  async warn(record: CertificateRecord, title: string, detail: string): Promise<void> {
    const route = this.#options.operator ?? record.spec.mail;
    if (route !== undefined) await this.#notice(route, record.id, title, detail);
  }

  /** The same of what is about no certificate at all: to the operator, where one is configured. */
  async warnOperator(about: string, title: string, detail: string): Promise<void> {
    const { operator } = this.#options;
    if (operator !== undefined) await this.#notice(operator, about, title, detail);
  }

  /** What a person has to know of certificates at once: whoever is told of each, or else the operator, in one mail. */
  async warnAbout<T extends CertificateRecord>(
    records: readonly T[],
    write: (records: readonly T[]) => { title: string; detail: string },
  ): Promise<void> {
    const { operator, defaultFrom } = this.#options;
    const routeOf = ({ spec }: CertificateRecord): MailRoute | undefined => spec.mail ?? operator;
    const groups = grouped(records, (record) => {
      const route = routeOf(record);
      return route === undefined ? "" : mailGroup(route, defaultFrom);
    });
    for (const group of groups.values()) {
      const [first] = group;
      const route = first && routeOf(first);
      if (!route) continue;
      const { title, detail } = write(group);
      await this.#notice(route, first.id, title, detail);
    }
  }

  async #notice(route: MailRoute, about: string, title: string, detail: string): Promise<void> {
    const { boxes, producer, defaultFrom, defaultMode } = this.#options;
    if (defaultMode === "off") return;
    const box = BOXES.notice(randomUUID());
    const group = mailGroup(route, defaultFrom);
    await boxes.putNotice(box, { title, detail });
    await boxes.drop(box, group, [about], route);
    await producer.mail({ box, group });
  }

  async #mode(importId: string | undefined): Promise<NotifyMode> {
    const { imports, defaultMode } = this.#options;
    // There is no digest for what was asked for alone.
    if (importId === undefined) return defaultMode === "off" ? "off" : "each";
    return (await imports.notifyMode(importId)) ?? defaultMode;
  }

  /** The box first: a mail that finds it empty sends nothing, while one that is not queued would be missed. */
  async #put(record: CertificateRecord, box: string, delay: number): Promise<void> {
    const { boxes, producer, defaultFrom } = this.#options;
    const { mail } = record.spec;
    if (mail === undefined) return;
    const group = mailGroup(mail, defaultFrom);
    await boxes.drop(box, group, [record.id], mail);
    await producer.mail({ box, group }, delay);
  }
}

function isRenewed({ status, leaf }: CertificateRecord): boolean {
  return (status === "issued" || status === "serving") && leaf?.renews !== undefined;
}

/** What a person did, or what goes on by itself behind a limit, is no news. */
function isNews({ status, reason }: CertificateRecord): boolean {
  if (status === "waiting") return reason !== "limit";
  return status === "issued" || status === "serving" || status === "attention";
}
