/** The load balancer of the demo, for real: HAProxy in front of everything, or stunnel. */
import { startHaproxy } from "../test/support/haproxy.ts";
import { startStunnel } from "../test/support/stunnel.ts";
import { freePort } from "../test/support/temp.ts";
import { terminationYaml } from "../test/support/terminations.ts";
import { ensureTools } from "./tools.ts";

export type BalancerKind = "haproxy" | "stunnel";

export interface Balancer {
  kind: BalancerKind;
  /** Where it serves certificates. */
  port: number;
  /** Where Certherd answers challenges. */
  acmePort: number;
  /** `terminations` of the configuration. */
  yaml: string;
  /** What leads from where to where, for whoever looks on. */
  words: string[];
  stop(): Promise<void>;
}

/** Fetches what is missing, before anything is started. */
export async function balancerTools(kind: BalancerKind): Promise<void> {
  await ensureTools([kind, "openssl"]);
}

/** `httpPort`: where the CA validates, the port 80 of the real world. */
export async function startBalancer(kind: BalancerKind, httpPort: number): Promise<Balancer> {
  return kind === "haproxy" ? await haproxy(httpPort) : await stunnel(httpPort);
}

/** The CA's requests come to HAProxy, which leads those for challenges to Certherd. */
async function haproxy(httpPort: number): Promise<Balancer> {
  const acmePort = await freePort();
  const { port, socket, crtList, certDir, stop } = await startHaproxy({ acmePort, httpPort });
  const target = { haproxy: { socket, crtList, certDir } };
  return {
    kind: "haproxy",
    port,
    acmePort,
    yaml: terminationYaml([{ name: "lb1", address: "127.0.0.1", port, target }]),
    words: [
      `HAProxy serves on 127.0.0.1:${port}, certificates of ${certDir}.`,
      `The CA asks 127.0.0.1:${httpPort}, as if that were port 80; HAProxy leads /.well-known/acme-challenge/ to Certherd on ${acmePort}.`,
    ],
    stop,
  };
}

/** stunnel speaks TLS alone: the CA's requests come to Certherd. */
async function stunnel(httpPort: number): Promise<Balancer> {
  const { port, config, services, certDir, pidFile, master, connect, program, stop } = await startStunnel();
  // A minute between two reloads is right for a load balancer, and long for a demo.
  const reloadEvery = "2s";
  const target = { stunnel: { config, services, certDir, master, connect, pidFile, program, reloadEvery } };
  return {
    kind: "stunnel",
    port,
    acmePort: httpPort,
    yaml: terminationYaml([{ name: "lb1", address: "127.0.0.1", port, target }]),
    words: [
      `stunnel serves on 127.0.0.1:${port}, with a web server at ${connect} behind it; services in ${services}.`,
      `The CA asks 127.0.0.1:${httpPort}, as if that were port 80; Certherd answers there itself.`,
    ],
    stop,
  };
}
