import { randomBytes } from "node:crypto";
import { isIPv6 } from "node:net";
import { DEFAULTS } from "../core/certificate.ts";
import { probe } from "../preflight/probe.ts";
import type { Finding } from "./doctor.ts";
import type { House } from "./house.ts";

/** Milliseconds. */
const TIMEOUT = 5_000;

/**
 * Whether `/.well-known/acme-challenge/` on port 80 of every VIP really leads to a responder of ours: a token is put
 * down and asked for, as the CA will (RFC 8555 §8.3).
 */
export async function* examineResponder(house: House): AsyncGenerator<Finding> {
  const { config, challenges, alive, clock, responders } = house;
  if (config.vips.length === 0) return;
  const ports = await responders.asked();
  if (!(await alive.roles(clock.now())).has("respond")) return;
  const token = randomBytes(32).toString("base64url");
  const expected = `${token}.doctor`;
  await challenges.put([{ token, keyAuthorization: expected }]);
  try {
    for (const address of config.vips) {
      const name = isIPv6(address) ? `[${address}]` : address;
      const outcome = await probe(
        { name, address, token, expected },
        { ports: { http: config.httpPort, https: 443 }, timeout: TIMEOUT, addresses: async () => [address] },
        new AbortController().signal,
      );
      const what = `vip ${address}`;
      const detail = outcome.came
        ? `http-01 on port ${config.httpPort} leads here.`
        : `${address} ${outcome.why}: http-01 does not lead here. In HAProxy it takes\n${haproxyLines(ports[0] ?? DEFAULTS.acmePort)}`;
      yield { what, ok: outcome.came, detail, exitCode: 1 };
    }
  } finally {
    await challenges.drop([token]);
  }
}

function haproxyLines(port: number): string {
  return [
    "    frontend of port 80:",
    "        acl acme path_beg /.well-known/acme-challenge/",
    "        use_backend certherd_acme if acme",
    "    backend certherd_acme",
    `        server certherd 127.0.0.1:${port}`,
  ].join("\n");
}
