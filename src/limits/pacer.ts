import Bottleneck from "bottleneck";
import type { Redis } from "ioredis";
import type { CaLimits, RequestClass } from "./table.ts";

/** Milliseconds after which a place is free again though its holder never said so: it was killed. */
const EXPIRATION = 60_000;

/**
 * Paces what goes over the wire to one CA: a limiter for each class of endpoint that the CA limits by the second,
 * shared by all processes. Waits are of milliseconds to seconds; anything longer is the ledger's.
 */
export class Pacer {
  readonly #limiters = new Map<RequestClass, Bottleneck>();
  readonly #connection: Bottleneck.IORedisConnection | undefined;

  constructor(redis: Redis, ca: string, limits: CaLimits) {
    const classes = Object.entries(limits.requests) as [RequestClass, { count: number; period: number }][];
    if (classes.length === 0) return;
    this.#connection = new Bottleneck.IORedisConnection({ client: curedClient(redis) });
    for (const [name, { count, period }] of classes)
      this.#limiters.set(name, this.#limiter(ca, name, count, period));
  }

  /** Resolves when a request of this class may be sent. */
  async turn(name: RequestClass): Promise<void> {
    const limiter = this.#limiters.get(name);
    if (limiter) await limiter.schedule({ expiration: EXPIRATION }, async () => undefined);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#limiters.values()].map((limiter) => limiter.disconnect(false)));
    await this.#connection?.disconnect(false);
  }

  #limiter(ca: string, name: RequestClass, count: number, period: number): Bottleneck {
    const limiter = new Bottleneck({
      id: `certherd-${ca}-${name}`,
      ...(this.#connection ? { connection: this.#connection } : {}),
      // Even gaps rather than bursts: the CA's own burst allowance stays in hand for other clients of this address.
      minTime: Math.ceil(period / count),
      timeout: 3_600_000,
    });
    limiter.on("error", () => undefined);
    return limiter;
  }
}

/**
 * Bottleneck finds out by the error's text that its keys are lost (after a FLUSHALL, say) and makes them anew.
 * Redis 7 puts "ERR " before that text and a script's hash behind it, so that it never matches and every later
 * call is rejected (Bottleneck #205, #212, #219). The client it is given strips both.
 */
function curedClient(redis: Redis): Redis {
  const client = redis.duplicate({ connectionName: "certherd:pacer" });
  client.on("error", () => undefined);
  const original = client.defineCommand.bind(client);
  client.defineCommand = (name, definition) => {
    original(name, definition);
    const commands = client as unknown as Record<string, (...args: unknown[]) => unknown>;
    const command = commands[name]?.bind(client);
    if (command === undefined) return;
    commands[name] = (...args: unknown[]) => cured(command, args);
  };
  return client;
}

function cured(command: (...args: unknown[]) => unknown, args: unknown[]): unknown {
  const callback = args.at(-1);
  if (typeof callback === "function") {
    const wrapped = (error: unknown, result: unknown): unknown => callback(stripped(error), result);
    return command(...args.slice(0, -1), wrapped);
  }
  const result = command(...args);
  return result instanceof Promise
    ? result.catch((error: unknown) => Promise.reject(stripped(error)))
    : result;
}

function stripped(error: unknown): unknown {
  if (error instanceof Error)
    error.message = error.message.replace(/^ERR /, "").replace(/ script: [0-9a-f]{40}.*$/s, "");
  return error;
}
