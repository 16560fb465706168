import type { LoadbalancerOrgTarget } from "../../../config/terminations.ts";
import { AppError } from "../../../core/errors.ts";
import { type ApplianceClient, misconfigured } from "./client.ts";
import { wordsOf } from "./words.ts";

/** Actions in one call: each is a run of a program on the appliance, and all of them have one time limit. */
const ACTIONS = 50;

export type Action = Readonly<Record<string, string>>;

export type Status = "success" | "failed" | "exists" | "missing" | "fatal";

export interface Result {
  status: Exclude<Status, "fatal">;
  /** What the appliance says beside. */
  words: string;
}

const STATUSES: readonly string[] = ["success", "failed", "exists", "missing", "fatal"] satisfies Status[];

/** The API v2 of the appliance: lists of actions for its `lbcli`, and a result of each. */
export class ApplianceApi {
  readonly #client: ApplianceClient;
  readonly #config: LoadbalancerOrgTarget;

  constructor(client: ApplianceClient, config: LoadbalancerOrgTarget) {
    this.#client = client;
    this.#config = config;
  }

  /** One result for each action, in their order. Throws where it is about the appliance: `fatal` is. */
  async perform(actions: readonly Action[]): Promise<Result[]> {
    const results: Result[] = [];
    for (let from = 0; from < actions.length; from += ACTIONS)
      results.push(...(await this.#call(actions.slice(from, from + ACTIONS))));
    return results;
  }

  /**
   * Every word of the list of certificates. Neither its form nor its fields are documented, so labels are looked for in
   * all of it. It holds all certificates of the appliance, and there is no way to ask for one: hence once for a batch.
   */
  async certificateWords(): Promise<Set<string>> {
    const answer = await this.#ask([{ action: "termination", type: "certificate", function: "list" }]);
    const result = resultsIn(answer)[0];
    if (result) this.#refuseFatal(result);
    // It may call a list of nothing missing.
    if (result && !["success", "missing"].includes(result.status))
      throw this.#refused("list its certificates", result.words);
    const words = new Set<string>();
    collectWords(answer, words);
    return words;
  }

  /** The whole configuration; undefined where it will not tell. */
  async dump(): Promise<unknown> {
    const answer = await this.#ask([{ action: "list", function: "dumpconfig" }]);
    const status = resultsIn(answer)[0]?.status;
    return status === undefined || status === "success" ? answer : undefined;
  }

  /** Brings what was configured into use. */
  async reload(): Promise<void> {
    const action = `reload-${this.#config.reload}`;
    const [result] = await this.perform([{ action }]);
    if (result?.status !== "success") throw this.#refused(action, result?.words ?? "");
  }

  async #call(actions: readonly Action[]): Promise<Result[]> {
    const results = resultsIn(await this.#ask(actions));
    if (results.length !== actions.length)
      throw this.#client.unreachable(
        `gave ${results.length} results for ${actions.length} actions, in a form that is not known`,
      );
    return results.map((result) => {
      this.#refuseFatal(result);
      return { status: result.status as Result["status"], words: result.words };
    });
  }

  async #ask(actions: readonly Action[]): Promise<unknown> {
    const { text } = await this.#client.postApi(JSON.stringify({ lbcli: actions }));
    if (text.trim() === "")
      throw this.#client.unreachable(
        "gave an empty answer, as it may to a wrong user or password: look at both",
      );
    try {
      return JSON.parse(text);
    } catch (error) {
      throw this.#client.unreachable("gave an answer that is no JSON", error);
    }
  }

  #refuseFatal({ status, words }: FoundResult): void {
    if (status !== "fatal") return;
    throw misconfigured(
      `The appliance at ${this.#client.host} has a fault of its own. It says: ${words}. Mend that on the appliance.`,
    );
  }

  #refused(what: string, words: string): AppError {
    return new AppError(
      `The appliance at ${this.#client.host} did not ${what}. It says: ${words || "nothing"}. Mend that on the appliance.`,
      { code: "target_refused", disposition: "node" },
    );
  }
}

interface FoundResult {
  status: string;
  words: string;
}

/**
 * The results in an answer, outermost first. They stand in `lbapi`, in lists named `itteration` and `lbcli`, to another
 * depth from version to version; what they have in common is a status.
 */
function resultsIn(value: unknown): FoundResult[] {
  if (Array.isArray(value)) return value.flatMap(resultsIn);
  if (typeof value !== "object" || value === null) return [];
  const fields = Object.entries(value);
  const status = fields.find(([key]) => key === "status")?.[1];
  if (typeof status !== "string" || !STATUSES.includes(status.toLowerCase()))
    return fields.flatMap(([, each]) => resultsIn(each));
  const told = fields.filter(([key]) => !["action", "status", "function", "type"].includes(key));
  const texts = told.map(([, each]) => each).filter((each) => typeof each === "string");
  return [{ status: status.toLowerCase(), words: wordsOf(texts.join("; ")) }];
}

function collectWords(value: unknown, words: Set<string>): void {
  if (typeof value === "string") for (const word of value.split(/[\s,;/]+/)) words.add(word);
  if (typeof value !== "object" || value === null) return;
  for (const [key, each] of Object.entries(value)) {
    if (!Array.isArray(value)) words.add(key);
    collectWords(each, words);
  }
}
