/**
 * A stand-in for the Loadbalancer.org appliance: its API v2, the page for certificates, and one VIP that serves, after a
 * reload, what its SNI entries said then.
 */
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { ensureTools } from "../../scripts/tools.ts";
import { API_KEY, answer, PASSWORD, USER, VIP } from "./appliance-answers.ts";
import { type Fault, type KeyPair, type SniEntry, State } from "./appliance-state.ts";
import { removeDir, tempDir } from "./temp.ts";

export interface TestAppliance {
  readonly url: string;
  /** As the configuration has it: hex without colons. */
  readonly fingerprint: string;
  readonly vip: string;
  readonly vipPort: number;
  readonly user: string;
  readonly password: string;
  readonly apiKey: string;
  /** Uploaded PEMs by label. */
  labels(): ReadonlyMap<string, string>;
  sni(): ReadonlyMap<string, SniEntry>;
  reloads(): number;
  /** What it was asked, in order: "upload a", "add a.example", "reload-stunnel". */
  steps(): string[];
  requests(): number;
  /** Bytes that came after a handshake. */
  received(): number;
  fail(fault: Fault): void;
  /** From the request after the next `requests` on it closes connections; with `lost` it still does the first of those. */
  cutAfter(requests: number, options?: { lost?: boolean }): void;
  /** Ends all faults. */
  mend(): void;
  /** As new: no labels, no entries. */
  reset(): void;
  stop(): Promise<void>;
}

export async function startAppliance(): Promise<TestAppliance> {
  const dir = tempDir("certherd-appliance");
  const own = await selfSigned(dir);
  const state = new State(own);
  const server = createServer(own, (request, response) => {
    state.requests++;
    answer(state, request, response).catch(() => response.destroy());
  });
  server.on("secureConnection", (socket: Socket) => {
    socket.on("data", ({ length }: Buffer) => {
      state.received += length;
    });
  });
  const sockets = new Set<Socket>();
  const vip = createTlsServer(
    { ...own, SNICallback: (name, done) => done(null, state.contextFor(name)) },
    (socket) => socket.end(),
  );
  for (const each of [server, vip]) {
    each.on("connection", (socket: Socket) => {
      sockets.add(socket.on("error", () => undefined).on("close", () => sockets.delete(socket)));
    });
    each.on("tlsClientError", () => undefined);
    await once(each.listen(0, "127.0.0.1"), "listening");
  }
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fingerprint: new X509Certificate(own.cert).fingerprint256.replaceAll(":", ""),
    vip: VIP,
    vipPort: (vip.address() as AddressInfo).port,
    user: USER,
    password: PASSWORD,
    apiKey: API_KEY,
    labels: () => state.labels,
    sni: () => state.entries,
    reloads: () => state.reloads,
    steps: () => [...state.steps],
    requests: () => state.requests,
    received: () => state.received,
    fail: (fault) => void state.faults.push({ ...fault }),
    cutAfter: (left, { lost = false } = {}) => {
      state.cut = { left, lost };
    },
    mend: () => state.mend(),
    reset: () => state.reset(),
    async stop() {
      for (const each of [server, vip]) each.close();
      for (const socket of sockets) socket.destroy();
      removeDir(dir);
    },
  };
}

async function selfSigned(dir: string): Promise<KeyPair> {
  const { openssl } = await ensureTools(["openssl"]);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days", "30"];
  const out = ["-keyout", "own.key", "-out", "own.pem", "-subj", "/CN=lbmaster"];
  execFileSync(openssl, ["req", "-x509", ...newKey, ...out], { cwd: dir, stdio: "pipe" });
  const read = (name: string): string => readFileSync(join(dir, name), "utf8");
  return { key: read("own.key"), cert: read("own.pem") };
}
