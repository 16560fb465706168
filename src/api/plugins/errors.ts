import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { type AppError, asAppError } from "../../core/errors.ts";
import { notFound, problemOf, RequestError, redisUnavailable } from "../problems.ts";
import { fieldErrors } from "../validation.ts";

type Log = (line: string) => void;
export type ErrorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply;

/** Every error leaves as a problem document, whoever threw it. */
export function answerProblems(app: FastifyInstance, log: Log): void {
  app.setErrorHandler(problemHandler(log));
  app.setNotFoundHandler((request) => {
    throw notFound(
      `There is no ${request.method} ${request.url.split("?")[0]} here; /openapi.json lists what is.`,
    );
  });
}

export function problemHandler(log: Log): ErrorHandler {
  return (thrown, request, reply) => {
    const error = requestErrorOf(thrown, request) ?? asAppError(thrown);
    // A caller who has hung up is told nothing, and is no fault of ours.
    const hungUp = request.raw.destroyed && !request.raw.complete;
    if (isForTheLog(error) && !hungUp) log(faultLine(error, request));
    return sendProblem(reply, error);
  };
}

export function sendProblem(reply: FastifyReply, error: AppError): FastifyReply {
  const { problem, retryAfter } = problemOf(error, Date.now());
  if (retryAfter !== undefined) reply.header("retry-after", retryAfter);
  reply.status(problem.status).type("application/problem+json");
  // As bytes, since the media type has no charset and Fastify would add one to text.
  return reply.send(Buffer.from(JSON.stringify(problem)));
}

/** What somebody here has to mend; of Redis there would be a line for every request. */
function isForTheLog({ disposition, code }: AppError): boolean {
  return disposition === "internal" || code.startsWith("disk_");
}

/** The route as it is written down, as a URL may hold what is nobody's business. */
function faultLine(error: AppError, request: FastifyRequest): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  return `${request.method} ${request.routeOptions.url ?? "?"}: ${cause.stack ?? cause.message}`;
}

/** What Fastify, zod and ioredis say, in our own words; undefined for what they did not say. */
function requestErrorOf(thrown: unknown, request: FastifyRequest): AppError | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if (hasZodFastifySchemaValidationErrors(thrown)) {
    const errors = fieldErrors(thrown.validation, thrown.validationContext, request);
    return new RequestError(422, "invalid_request", "The request is not as it has to be.", errors);
  }
  if (isRedisFault(thrown)) return redisUnavailable(thrown);
  return fastifyErrorOf(thrown as FastifyError, request);
}

function fastifyErrorOf(error: FastifyError, request: FastifyRequest): AppError | undefined {
  switch (error.code) {
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new RequestError(415, "media_type", mediaTypeHint(request));
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new RequestError(413, "body_too_large", tooLarge(request));
    default:
      break;
  }
  const { statusCode = 500 } = error;
  if (statusCode < 400 || statusCode >= 500) return undefined;
  return error instanceof SyntaxError || error.code?.startsWith("FST_ERR_CTP_")
    ? new RequestError(400, "malformed_body", `The body cannot be read: ${error.message}.`)
    : new RequestError(statusCode, "bad_request", error.message);
}

function tooLarge({ routeOptions }: FastifyRequest): string {
  return `The body is too large; ${routeOptions.bodyLimit ?? 0} bytes are the most here.`;
}

function mediaTypeHint(request: FastifyRequest): string {
  const wanted = request.routeOptions.config.mediaType ?? "application/json";
  return `Send the body as Content-Type: ${wanted}.`;
}

/** What ioredis says of a connection that is gone, and Redis of a state in which it refuses to work. */
function isRedisFault(error: Error): boolean {
  if (error.message === "Connection is closed." || error.name === "MaxRetriesPerRequestError") return true;
  return (
    error.name === "ReplyError" &&
    /^(LOADING|READONLY|OOM|MISCONF|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)/.test(error.message)
  );
}
