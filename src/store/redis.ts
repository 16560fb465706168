import { Redis, type RedisOptions } from "ioredis";
import { AppError } from "../core/errors.ts";

export type { Redis } from "ioredis";

type Options = Omit<RedisOptions, "replyMapping">;

/** Milliseconds in which Redis has to answer when a command starts. */
const FIRST_ANSWER = 5_000;

/**
 * A connection for long-lived work: commands wait through an outage instead of failing, which is what BullMQ
 * asks of a connection that it is given.
 */
export function openRedis(url: string, name: string): Redis {
  const options: Options = {
    maxRetriesPerRequest: null,
    enableReadyCheck: true,
    connectionName: `certherd:${name}`,
    connectTimeout: FIRST_ANSWER,
    retryStrategy: (times) => Math.min(times * 100, 1_000),
  };
  const redis = url.startsWith("unix:")
    ? new Redis({ ...options, ...socketOptions(url) })
    : new Redis(url, options);
  // Without a listener an unreachable Redis would end the process; each wait has its own time limit.
  redis.on("error", () => undefined);
  return redis;
}

/** "unix:///path/to/socket?db=1": taken apart here, as ioredis knows no such URL, and cuts a path off at "#" and "?". */
function socketOptions(url: string): Options {
  const { pathname, searchParams, username, password } = new URL(url);
  const word = decodeURIComponent(password) || searchParams.get("password");
  return {
    path: decodeURIComponent(pathname),
    db: Number(searchParams.get("db") ?? 0),
    ...(username === "" ? {} : { username: decodeURIComponent(username) }),
    ...(word ? { password: word } : {}),
  };
}

/** Connects, and refuses a Redis that would lose or refuse what it is given. The reason comes with the cure. */
export async function openCheckedRedis(url: string, name: string): Promise<Redis> {
  const redis = openRedis(url, name);
  try {
    await firstAnswer(redis, url);
    await checkSettings(redis);
    return redis;
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

async function firstAnswer(redis: Redis, url: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let last = "";
  const note = (error: Error): void => {
    last = error.message;
  };
  redis.on("error", note);
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const why = last ? ` (${last})` : "";
      reject(
        unavailable(
          `Redis at ${withoutPassword(url)} did not answer within 5 s${why}; start it, or correct REDIS_URL.`,
        ),
      );
    }, FIRST_ANSWER);
  });
  try {
    await Promise.race([redis.ping(), late]);
  } catch (error) {
    if (error instanceof AppError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw unavailable(
      `Redis at ${withoutPassword(url)} refused the connection (${reason}); correct REDIS_URL, or Redis's own settings.`,
    );
  } finally {
    clearTimeout(timer);
    redis.off("error", note);
  }
}

async function checkSettings(redis: Redis): Promise<void> {
  const info = await redis.info();
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
  const version = field("redis_version");
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < 6 || (major === 6 && minor < 2))
    throw unavailable(`Redis ${version} is too old; Certherd needs 6.2 or newer (or Valkey).`);
  const policy = field("maxmemory_policy");
  if (policy !== "" && policy !== "noeviction")
    throw unavailable(
      `Redis may throw keys away (maxmemory-policy is ${policy}), and jobs with them; set "maxmemory-policy noeviction" in redis.conf, or run: redis-cli CONFIG SET maxmemory-policy noeviction.`,
    );
}

function unavailable(message: string): AppError {
  return new AppError(message, { code: "redis_unavailable", disposition: "unavailable" });
}

/** The URL as it may be shown: a password in it is a secret. */
export function withoutPassword(url: string): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  if (parsed.password) parsed.password = "…";
  if (parsed.searchParams.has("password")) parsed.searchParams.set("password", "…");
  return parsed.href.replaceAll(encodeURIComponent("…"), "…");
}
