/** The part `terminations` of a configuration file, for servers that a test has started. */
import type { Haproxy } from "./haproxy.ts";
import type { TestStunnel } from "./stunnel.ts";

export interface YamlNode {
  name: string;
  address: string;
  port: number;
  host?: string;
  waitFor?: boolean;
  verifyWithin?: string;
  target: Record<string, unknown>;
}

export function haproxyNode(name: string, { port, socket, crtList, certDir }: Haproxy): YamlNode {
  return { name, address: "127.0.0.1", port, target: { haproxy: { socket, crtList, certDir } } };
}

/** JSON is YAML too. */
export function terminationYaml(nodes: readonly YamlNode[], vipPort = 443): string {
  return `terminations: ${JSON.stringify({ [vipPort]: { nodes } })}\n`;
}

export function stunnelNode(name: string, stunnel: TestStunnel, reloadEvery: string): YamlNode {
  const { port, config, services, certDir, pidFile, master, connect, program } = stunnel;
  const target = { config, services, certDir, pidFile, master, connect, program, reloadEvery };
  return { name, address: "127.0.0.1", port, target: { stunnel: target } };
}
