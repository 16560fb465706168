import type { ChainableCommander, Redis } from "ioredis";

type Argument = string | number;
type Caller = Record<string, ((...args: Argument[]) => unknown) | undefined>;

/**
 * `now` in milliseconds: Redis's clock, the one that all workers share; or the first argument, where that is not 0,
 * so that a test can hold it.
 */
export const NOW = `
local now = tonumber(ARGV[1])
if now == 0 then
  local clock = redis.call('TIME')
  now = clock[1] * 1000 + math.floor(clock[2] / 1000)
end
`;

/**
 * A Lua script as one typed call. ioredis sends it by its hash, and sends the text again where a restarted Redis
 * has forgotten it, in pipelines too.
 */
export class Script {
  readonly #name: string;
  readonly #lua: string;

  constructor(name: string, lua: string) {
    this.#name = `certherd_${name}`;
    this.#lua = lua;
  }

  async run(redis: Redis, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    this.#define(redis);
    return await this.#call(redis as unknown as Caller, keys, args);
  }

  /** A pipeline knows the scripts that its connection knew when it was made: define first, then queue. */
  pipeline(redis: Redis): ChainableCommander {
    this.#define(redis);
    return redis.pipeline();
  }

  /** The same as one more command of a pipeline that this script has made. */
  queue(pipeline: ChainableCommander, keys: readonly string[], args: readonly Argument[]): void {
    this.#call(pipeline as unknown as Caller, keys, args);
  }

  #define(redis: Redis): void {
    if ((redis as unknown as Caller)[this.#name] === undefined)
      redis.defineCommand(this.#name, { lua: this.#lua });
  }

  #call(target: Caller, keys: readonly string[], args: readonly Argument[]): unknown {
    const command = target[this.#name];
    if (command === undefined) throw new Error(`The script ${this.#name} is not defined on this connection.`);
    return command.call(target, keys.length, ...keys, ...args);
  }
}

/** The results of a pipeline; the first command that failed is thrown, as a half-done chunk must be repeated. */
export async function execAll(pipeline: ChainableCommander): Promise<unknown[]> {
  const results = (await pipeline.exec()) ?? [];
  return results.map(([error, value]) => {
    if (error) throw error;
    return value;
  });
}
