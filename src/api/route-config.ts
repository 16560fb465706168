import type { Caller, Scope } from "./tokens.ts";

/** `open` to anybody, to `any` token, or to tokens of one scope. */
export type Access = "open" | "any" | Scope;

declare module "fastify" {
  /** What each route says of itself to the hooks that all requests pass. */
  interface FastifyContextConfig {
    /** A route that says nothing is for admins. */
    access?: Access;
    /** Browsers may use Basic, with the token as the password. */
    basic?: boolean;
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
  }
}
