import type { Caller, Scope } from "./tokens.ts";

/**
 * `open` to anybody, to `any` token, or to tokens of one scope. `page` is `any` for pages of ours: a browser without a
 * session is sent to the sign-in.
 */
export type Access = "open" | "any" | "page" | Scope;

declare module "fastify" {
  /** What each route says of itself to the hooks that all requests pass. */
  interface FastifyContextConfig {
    /** A route that says nothing is for admins. */
    access?: Access;
    /** Browsers may use Basic, with the token as the password. */
    basic?: boolean;
    /** Browsers without a session are sent to the sign-in, as with `page`. */
    signIn?: boolean;
    /** The Content-Security-Policy, where it cannot be the strict one. */
    csp?: string;
    /** False where the answer does not come from Redis. */
    redis?: boolean;
    /** True where the handler minds its time limit itself. */
    anyTime?: boolean;
    /** Of the body; JSON when left out. */
    mediaType?: string;
  }
  interface FastifyRequest {
    /** Undefined where access is open. */
    caller: Caller | undefined;
    /** How the caller showed who they are; undefined where access is open. */
    shownBy: "bearer" | "basic" | "session" | undefined;
    /** The browser's session, where that showed it: when it ends, milliseconds since the epoch. */
    session: { expiresAt: number } | undefined;
  }
}
