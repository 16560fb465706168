import type acme from "acme-client";
import { AppError, asAppError } from "../core/errors.ts";
import { openClient } from "./client.ts";
import { isProblem, problemError } from "./problems.ts";
import { retryAtOf } from "./transport.ts";

/** RFC 8555 §7.1.3 */
export interface Order {
  url: string;
  status: "pending" | "ready" | "processing" | "valid" | "invalid";
  authorizations: string[];
  finalize: string;
  certificate?: string;
  error?: AppError;
  /** Milliseconds since the epoch: not to be asked again before then. */
  retryAt?: number;
}

/** RFC 8555 §7.1.4 */
export interface Authorization {
  url: string;
  status: "pending" | "valid" | "invalid" | "deactivated" | "expired" | "revoked";
  name: string;
  wildcard: boolean;
  challenges: Challenge[];
}

export interface Challenge {
  type: string;
  url: string;
  status: string;
  token: string;
  error?: AppError;
}

export interface OrderOptions {
  /** draft-aaron-acme-profiles */
  profile?: string;
  /** The certID of the certificate that this order renews (RFC 9773 §5). */
  replaces?: string;
}

/** What the house needs of a CA account: a port, so that nothing else knows the library behind it. */
export interface AcmeSession {
  newOrder(names: readonly string[], options?: OrderOptions): Promise<Order>;
  getOrder(url: string): Promise<Order>;
  authorization(url: string): Promise<Authorization>;
  /** Tells the CA that the challenge may be validated now. */
  answer(challenge: Challenge): Promise<void>;
  keyAuthorization(token: string): string;
  finalize(order: Order, csrPem: string): Promise<Order>;
  certificate(order: Order): Promise<string>;
  /** Revokes a leaf (RFC 8555 §7.6) for a reason of RFC 5280 §5.3.1; one that is revoked already is no failure. */
  revoke(leafPem: string, reason: number): Promise<void>;
}

export interface AccountCredentials {
  directory: string;
  keyPem: string;
  url: string;
}

/** A session of a registered account. The endpoint has to be open (see transport.ts). */
export class AcmeClientSession implements AcmeSession {
  readonly #client: acme.Client;
  #thumbprint: string | undefined;

  constructor(account: AccountCredentials) {
    this.#client = openClient({
      directory: account.directory,
      keyPem: account.keyPem,
      accountUrl: account.url,
    });
  }

  /** The part of a key authorization that is the account's (RFC 7638); computed once, as every token needs it. */
  async prepare(): Promise<this> {
    const sample = await this.#client.getChallengeKeyAuthorization({
      type: "http-01",
      token: "",
      url: "",
      status: "pending",
    });
    this.#thumbprint = sample.slice(1);
    return this;
  }

  keyAuthorization(token: string): string {
    if (this.#thumbprint === undefined) throw new Error("The session is not prepared.");
    return `${token}.${this.#thumbprint}`;
  }

  async newOrder(names: readonly string[], { profile, replaces }: OrderOptions = {}): Promise<Order> {
    const request = {
      identifiers: names.map((value) => ({ type: "dns", value })),
      // Neither is in the library's types; both are passed through.
      ...(profile === undefined ? {} : { profile }),
      ...(replaces === undefined ? {} : { replaces }),
    };
    return toOrder(await typed(this.#client.createOrder(request)));
  }

  async getOrder(url: string): Promise<Order> {
    return toOrder(await typed(this.#client.getOrder(onlyUrl(url))));
  }

  async authorization(url: string): Promise<Authorization> {
    const [found] = await typed(this.#client.getAuthorizations({ ...onlyUrl(url), authorizations: [url] }));
    if (!found) throw new Error(`The CA sent no authorization for ${url}.`);
    return {
      url,
      status: found.status,
      name: found.identifier.value,
      wildcard: found.wildcard === true,
      challenges: found.challenges.map((challenge) => ({
        type: challenge.type,
        url: challenge.url,
        status: challenge.status,
        token: challenge.token ?? "",
        ...(isProblem(challenge.error) ? { error: problemError(challenge.error) } : {}),
      })),
    };
  }

  async answer(challenge: Challenge): Promise<void> {
    await typed(
      this.#client.completeChallenge({
        type: "http-01",
        url: challenge.url,
        token: challenge.token,
        status: "pending",
      }),
    );
  }

  async finalize(order: Order, csrPem: string): Promise<Order> {
    return toOrder(
      await typed(this.#client.finalizeOrder({ ...onlyUrl(order.url), finalize: order.finalize }, csrPem)),
    );
  }

  async certificate(order: Order): Promise<string> {
    const ready = { ...onlyUrl(order.url), status: "valid", certificate: order.certificate ?? "" } as const;
    return await typed(this.#client.getCertificate(ready));
  }

  async revoke(leafPem: string, reason: number): Promise<void> {
    try {
      await typed(this.#client.revokeCertificate(leafPem, { reason }));
    } catch (error) {
      if (asAppError(error).type !== "urn:ietf:params:acme:error:alreadyRevoked") throw error;
    }
  }
}

/** The library asks for a whole order where it reads nothing but its URL. */
function onlyUrl(url: string): acme.Order {
  return { url, status: "pending", identifiers: [], authorizations: [], finalize: "" };
}

const ORDER_STATUSES: readonly string[] = ["pending", "ready", "processing", "valid", "invalid"];

function toOrder(order: acme.Order): Order {
  if (!ORDER_STATUSES.includes(order.status) || !Array.isArray(order.authorizations))
    throw new AppError("The CA's answer was of no use: it is no order.", {
      code: "ca_answer",
      disposition: "transient",
    });
  const retryAt = retryAtOf(order);
  return {
    url: order.url,
    status: order.status,
    authorizations: order.authorizations,
    finalize: order.finalize,
    ...(order.certificate === undefined ? {} : { certificate: order.certificate }),
    ...(isProblem(order.error) ? { error: problemError(order.error) } : {}),
    ...(retryAt === undefined ? {} : { retryAt }),
  };
}

/** What the transport has typed comes through; what is left are the library's own complaints about an answer. */
async function typed<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (thrown) {
    const error = asAppError(thrown);
    if (error.disposition !== "internal") throw error;
    throw new AppError(`The CA's answer was of no use: ${error.message}`, {
      code: "ca_answer",
      disposition: "transient",
      cause: thrown,
    });
  }
}
