/** What the stand-in for the appliance holds, and the faults that it is told to have. */
import { createSecureContext, type SecureContext } from "node:tls";

export interface SniEntry {
  rule: string;
  cert: string;
  /** `service`, or `ip:port`. */
  backend: string;
}

/** What is asked of it: a verb of an SNI entry, or one of the others. */
export type Asked = "list" | "dump" | "add" | "edit" | "delete" | "reload" | "upload" | "remove";

export interface Fault {
  on: Asked | "anything";
  /** A result of the API, how the request as a whole goes wrong, or `hidden`: the list tells of nothing. */
  how:
    | "failed"
    | "fatal"
    | "missing"
    | "exists"
    | "key"
    | "500"
    | "hang"
    | "close"
    | "no json"
    | "empty"
    | "login"
    | "hidden";
  /** Only where this is the entry's name, or part of the label. */
  about?: string;
  /** How often; for ever when left out. */
  times?: number;
}

export interface KeyPair {
  key: string;
  cert: string;
}

export class State {
  labels = new Map<string, string>();
  entries = new Map<string, SniEntry>();
  /** What is served: the entries' certificates at the last reload. */
  serving = new Map<string, SecureContext>();
  doomed = new Set<string>();
  reloads = 0;
  requests = 0;
  received = 0;
  steps: string[] = [];
  faults: Fault[] = [];
  cut: { left: number; lost: boolean } | undefined;
  readonly #fallback: SecureContext;

  constructor(own: KeyPair) {
    this.#fallback = createSecureContext(own);
  }

  mend(): void {
    this.faults = [];
    this.cut = undefined;
  }

  reset(): void {
    this.mend();
    this.labels.clear();
    this.entries.clear();
    this.serving.clear();
    this.doomed.clear();
    this.steps = [];
    this.reloads = 0;
    this.requests = 0;
    this.received = 0;
  }

  fault(on: Asked, about: string): Fault["how"] | undefined {
    const found = this.faults.find(
      (fault) =>
        (fault.on === on || fault.on === "anything") &&
        (fault.about === undefined || about.includes(fault.about)) &&
        fault.times !== 0,
    );
    if (found?.times !== undefined) found.times--;
    return found?.how;
  }

  contextFor(name: string): SecureContext {
    const wildcard = name.replace(/^[^.]+/, "*");
    return this.serving.get(name) ?? this.serving.get(wildcard) ?? this.#fallback;
  }

  /** As stunnel: it keeps its old configuration where the new one names a file that is not there. */
  reload(): boolean {
    this.reloads++;
    const next = new Map<string, SecureContext>();
    for (const { rule, cert } of this.entries.values()) {
      const pem = this.labels.get(cert);
      if (pem === undefined) return false;
      next.set(rule, createSecureContext({ key: pem, cert: pem }));
    }
    this.serving = next;
    return true;
  }
}
