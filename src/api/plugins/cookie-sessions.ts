import cookie from "@fastify/cookie";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../core/clock.ts";
import type { Redis } from "../../store/redis.ts";
import type { Sessions } from "../../store/sessions.ts";
import { redisUnavailable } from "../problems.ts";
import { inTime } from "../time-limit.ts";
import type { Caller, TokenBook } from "../tokens.ts";

const NAME = "certherd_session";
/** Characters; what a cookie of ours holds has 43. */
const MOST_SECRET = 100;

export interface Found {
  caller: Caller;
  session: { expiresAt: number };
}

/** Sessions as browsers carry them. What a session may do is what its token may do by today's configuration. */
export class CookieSessions {
  readonly #redis: Redis;
  readonly #sessions: Sessions;
  readonly #tokens: TokenBook;
  readonly #clock: Clock;

  constructor(deps: { redis: Redis; sessions: Sessions; tokens: TokenBook; clock: Clock }) {
    this.#redis = deps.redis;
    this.#sessions = deps.sessions;
    this.#tokens = deps.tokens;
    this.#clock = deps.clock;
  }

  async begin(request: FastifyRequest, reply: FastifyReply, caller: Caller): Promise<void> {
    const secret = await this.#sessions.begin(caller, this.#clock.now());
    reply.setCookie(nameOf(request), secret, attributes(request));
  }

  /** Undefined where there is none, or its token is gone. Throws `redis_unavailable`. */
  async find(request: FastifyRequest): Promise<Found | undefined> {
    const secret = secretOf(request);
    if (secret === undefined) return undefined;
    if (this.#redis.status !== "ready") throw redisUnavailable();
    const session = await inTime(this.#sessions.use(secret, this.#clock.now()));
    const caller = session && this.#tokens.byMark(session.id, session.mark);
    return caller && { caller, session: { expiresAt: session.expiresAt } };
  }

  /** Whether the session that a request came with has not ended meanwhile. As long as Redis does not say so, it has not. */
  async isThere(request: FastifyRequest): Promise<boolean> {
    const secret = secretOf(request);
    return secret !== undefined && (await this.#sessions.isThere(secret).catch(() => true));
  }

  async end(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const secret = secretOf(request);
    if (secret !== undefined) await this.#sessions.end(secret);
    reply.clearCookie(nameOf(request), attributes(request));
  }
}

export async function readCookies(app: FastifyInstance): Promise<void> {
  await app.register(cookie);
}

/** The prefix keeps other hosts of the same domain from setting it; browsers know it over https alone. */
function nameOf(request: FastifyRequest): string {
  return isSecure(request) ? `__Host-${NAME}` : NAME;
}

function attributes(request: FastifyRequest) {
  return { path: "/", httpOnly: true, sameSite: "strict", secure: isSecure(request) } as const;
}

function isSecure(request: FastifyRequest): boolean {
  return request.protocol === "https";
}

function secretOf(request: FastifyRequest): string | undefined {
  const secret = request.cookies[nameOf(request)];
  return secret === undefined || secret === "" || secret.length > MOST_SECRET ? undefined : secret;
}
