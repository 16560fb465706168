import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

/** Nothing from another host, no inline script or style, no frame around it. */
const STRICT = {
  "default-src": "'none'",
  "script-src": "'self'",
  "style-src": "'self'",
  "img-src": "'self' data:",
  "font-src": "'self'",
  "connect-src": "'self'",
  "manifest-src": "'self'",
  "form-action": "'self'",
  "base-uri": "'none'",
  "frame-ancestors": "'none'",
} as const;

/** The strict policy, with what a page of somebody else's cannot do without. */
export function contentPolicy(changes: Partial<Record<keyof typeof STRICT, string>> = {}): string {
  return Object.entries({ ...STRICT, ...changes })
    .map(([directive, sources]) => `${directive} ${sources}`)
    .join("; ");
}

const POLICY = contentPolicy();
const PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
/** A year, in seconds. Without subdomains: those of this host are not ours to decide on. */
const HSTS = "max-age=31536000";

/** What every answer says to browsers. A route that sends files may set its own cache-control. */
export function sendHeaders(app: FastifyInstance): void {
  app.addHook("onRequest", async (request, reply) => {
    setHeaders(request, reply);
  });
}

/** For answers that no hook comes to. */
export function setHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers({
    "content-security-policy": request.routeOptions.config?.csp ?? POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    // Not no-referrer: with that a form's Origin is "null", and over plain HTTP nothing else tells whose form it is.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": PERMISSIONS,
    "cache-control": "no-store",
  });
  if (request.protocol === "https") reply.header("strict-transport-security", HSTS);
}
