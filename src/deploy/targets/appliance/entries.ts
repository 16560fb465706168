import type { LoadbalancerOrgTarget } from "../../../config/terminations.ts";
import { certificateId } from "../../../core/certificate.ts";
import type { Action, ApplianceApi, Result } from "./api.ts";
import { misconfigured } from "./client.ts";

/** What connections for one name are answered with. */
export interface Entry {
  name: string;
  label: string;
  /** The name is believed to have an entry, so that editing it is tried first. */
  isThere: boolean;
}

/** `add`, `edit` because it exists, `add` because it is missing: who gets no answer from that never will. */
const ROUNDS = 3;

/** The entries of one stunnel termination, one for each name. They are served after a reload. */
export class SniEntries {
  readonly #api: ApplianceApi;
  readonly #config: LoadbalancerOrgTarget;

  constructor(api: ApplianceApi, config: LoadbalancerOrgTarget) {
    this.#api = api;
    this.#config = config;
  }

  /** Points names at labels; tells why not, by name. */
  async point(entries: readonly Entry[]): Promise<Map<string, string>> {
    const refused = new Map<string, string>();
    let open = entries.map((entry) => ({ entry, verb: entry.isThere ? "edit" : "add" }));
    for (let round = 0; round < ROUNDS && open.length > 0; round++) {
      const results = await this.#api.perform(open.map(({ entry, verb }) => this.#set(entry, verb)));
      open = open.flatMap((tried, index) => {
        const { entry, verb } = tried;
        const { status, words } = results[index] ?? NO_RESULT;
        if (status === "success") return [];
        if (status === "missing" && verb === "add") throw this.#nothingToAddTo(words);
        if (status === "failed") refused.set(entry.name, words || "nothing");
        if (status === "failed") return [];
        return [{ entry, verb: status === "exists" ? "edit" : "add" }];
      });
    }
    for (const { entry } of open)
      refused.set(
        entry.name,
        "its SNI entry can neither be added nor be edited; look at it on the appliance",
      );
    return refused;
  }

  /** Takes entries away: whether there was one, or why it is still there, by name. */
  async remove(names: readonly string[]): Promise<Map<string, Result>> {
    const results = await this.#api.perform(names.map((name) => this.#action(name, "delete", {})));
    return new Map(names.map((name, index) => [name, results[index] ?? NO_RESULT]));
  }

  #set({ name, label }: Entry, verb: string): Action {
    const { backend } = this.#config;
    const behind =
      "service" in backend
        ? { sni_backend_service: backend.service }
        : { sni_backend_ip: backend.ip, sni_backend_port: String(backend.port) };
    return this.#action(name, verb, { sni_rule: name, sni_cert: label, ...behind });
  }

  /** The entry has the name's own name, as far as that can stand in a configuration. */
  #action(name: string, verb: string, rest: Record<string, string>): Action {
    const sni = { sni: verb, sni_name: certificateId(name) };
    return {
      action: "termination",
      type: "stunnel",
      function: "edit",
      vip: this.#config.vip,
      ...sni,
      ...rest,
    };
  }

  /** An entry that is added cannot be missing itself. */
  #nothingToAddTo(words: string): Error {
    const { vip, backend } = this.#config;
    const service = "service" in backend ? `, or no service "${backend.service}"` : "";
    return misconfigured(
      `The appliance has no stunnel termination "${vip}"${service}. It says: ${words || "missing"}. Make it, or correct vip and backend.`,
    );
  }
}

const NO_RESULT: Result = { status: "failed", words: "" };
