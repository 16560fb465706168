/** An ACME client with nothing between a test and the wire: it repeats nothing, and hands out each answer as it came. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createCsr } from "../../src/pki/csr.ts";
import { generateKey } from "../../src/pki/keys.ts";
import { type HttpAnswer, httpRequest, httpText } from "./http.ts";

export interface AcmeAnswer extends HttpAnswer {
  /** The body's JSON; empty where it is none. */
  json: Record<string, unknown>;
}

export class BareAcme {
  readonly directory: Readonly<Record<string, string>>;
  readonly #ca: string;
  readonly #key: KeyObject;
  readonly #jwk: Record<string, string>;
  /** The account's URL; "" until there is one. */
  account = "";

  private constructor(directory: Record<string, string>, ca: string) {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { x = "", y = "" } = publicKey.export({ format: "jwk" });
    this.directory = directory;
    this.#ca = ca;
    this.#key = privateKey;
    // In this order the thumbprint is made of them (RFC 7638 §3).
    this.#jwk = { crv: "P-256", kty: "EC", x, y };
  }

  /** A client with a new account. `ca` is the PEM that the CA's HTTPS is trusted by. */
  static async open(directoryUrl: string, ca: string): Promise<BareAcme> {
    const directory = JSON.parse(await httpText(directoryUrl, { ca })) as Record<string, string>;
    const client = new BareAcme(directory, ca);
    const { headers } = await client.post(directory.newAccount ?? "", { termsOfServiceAgreed: true });
    client.account = `${headers.location}`;
    return client;
  }

  get thumbprint(): string {
    return createHash("sha256").update(JSON.stringify(this.#jwk)).digest("base64url");
  }

  async nonce(): Promise<HttpAnswer> {
    return await httpRequest(this.directory.newNonce ?? "", { ca: this.#ca, method: "HEAD" });
  }

  /** Without a payload a POST-as-GET. */
  async post(url: string, payload?: unknown, givenNonce?: string): Promise<AcmeAnswer> {
    const nonce = givenNonce ?? `${(await this.nonce()).headers["replay-nonce"]}`;
    const signer = this.account === "" ? { jwk: this.#jwk } : { kid: this.account };
    const protectedPart = encode({ alg: "ES256", nonce, url, ...signer });
    const payloadPart = payload === undefined ? "" : encode(payload);
    const input = Buffer.from(`${protectedPart}.${payloadPart}`);
    const signature = sign("sha256", input, { key: this.#key, dsaEncoding: "ieee-p1363" });
    const answer = await httpRequest(url, {
      ca: this.#ca,
      headers: { "content-type": "application/jose+json" },
      json: { protected: protectedPart, payload: payloadPart, signature: signature.toString("base64url") },
    });
    const json: unknown = /json/.test(`${answer.headers["content-type"]}`) ? JSON.parse(answer.body) : {};
    return { ...answer, json: json as Record<string, unknown> };
  }

  async newOrder(names: readonly string[], more: Record<string, unknown> = {}): Promise<AcmeAnswer> {
    const identifiers = names.map((value) => ({ type: "dns", value }));
    return await this.post(this.directory.newOrder ?? "", { identifiers, ...more });
  }

  /** Has all http-01 challenges of an order looked at, and returns how its authorizations end. */
  async authorize(order: AcmeAnswer): Promise<string[]> {
    const urls = order.json.authorizations as string[];
    return await Promise.all(urls.map((url) => this.#authorize(url)));
  }

  async #authorize(url: string): Promise<string> {
    const { json } = await this.post(url);
    const challenges = json.challenges as { type: string; url: string }[];
    await this.post(challenges.find(({ type }) => type === "http-01")?.url ?? "", {});
    return await this.#settled(url, /pending|processing/);
  }

  /** From a new order with these names to its end; the names have to validate. */
  async issue(names: readonly string[]): Promise<string> {
    const order = await this.newOrder(names);
    await this.authorize(order);
    const url = `${order.headers.location}`;
    await this.#settled(url, /pending/);
    const pem = createCsr(await generateKey("ec256"), names);
    const csr = Buffer.from(pem.replace(/-----.*-----|\s/g, ""), "base64").toString("base64url");
    await this.post(`${order.json.finalize}`, { csr });
    return await this.#settled(url, /ready|processing/);
  }

  async #settled(url: string, meanwhile: RegExp): Promise<string> {
    for (;;) {
      const status = `${(await this.post(url)).json.status}`;
      if (!meanwhile.test(status)) return status;
    }
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
