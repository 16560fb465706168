/** pebble-challtestsrv as the name server that Pebble (and a preflight check under test) asks. */
import { spawnSync } from "node:child_process";
import { ensureTools } from "../../scripts/tools.ts";
import { httpRequest, httpText } from "./http.ts";
import { type ServerProcess, startProcess } from "./process.ts";
import { freePort } from "./temp.ts";

/** Answers for single names. Unless told otherwise: every name has A 127.0.0.1, no AAAA, no CAA. */
export interface FakeDns {
  /** host:port, serving DNS over UDP and TCP. */
  readonly address: string;
  readonly managementUrl: string;
  /** The A record of all names that have none of their own; "" for none. */
  setDefaultA(ip: string): Promise<void>;
  setServfail(host: string): Promise<void>;
  clearServfail(host: string): Promise<void>;
  addA(host: string, ips: readonly string[]): Promise<void>;
  clearA(host: string): Promise<void>;
  addAaaa(host: string, ips: readonly string[]): Promise<void>;
  clearAaaa(host: string): Promise<void>;
  addCaa(host: string, policies: readonly { tag: string; value: string }[]): Promise<void>;
  clearCaa(host: string): Promise<void>;
  setCname(host: string, target: string): Promise<void>;
  clearCname(host: string): Promise<void>;
  setTxt(host: string, value: string): Promise<void>;
  clearTxt(host: string): Promise<void>;
}

export async function startFakeDns(cwd: string): Promise<{ dns: FakeDns; server: ServerProcess }> {
  const { "pebble-challtestsrv": program } = await ensureTools(["pebble-challtestsrv"]);
  const address = `127.0.0.1:${await freePort()}`;
  const management = `127.0.0.1:${await freePort()}`;
  // The challenges themselves are answered by the product, or by the test.
  const args = [
    "-http01",
    "",
    "-https01",
    "",
    "-tlsalpn01",
    "",
    "-management",
    management,
    "-defaultIPv6",
    "",
  ];
  const server = startProcess(program, [...args, ...dnsFlags(program, address)], { cwd });
  const dns = clientFor(address, `http://${management}`);
  // It knows no path /, but answers once it listens.
  await server.ready(async () => (await httpRequest(dns.managementUrl)).status > 0);
  return { dns, server };
}

/** Newer versions renamed the flag, and serve DNS over HTTPS on a fixed port unless told not to. */
function dnsFlags(program: string, address: string): string[] {
  const help = spawnSync(program, ["-help"], { encoding: "utf8" });
  const knows = (flag: string) => `${help.stdout}${help.stderr}`.includes(`  ${flag} string`);
  return [knows("-dnsserver") ? "-dnsserver" : "-dns01", address, ...(knows("-doh") ? ["-doh", ""] : [])];
}

function clientFor(address: string, managementUrl: string): FakeDns {
  const post = async (path: string, json: Record<string, unknown>) => {
    await httpText(`${managementUrl}/${path}`, { json });
  };
  // TXT records alone must be named with the final dot.
  const dotted = (host: string) => `${host.replace(/\.$/, "")}.`;
  return {
    address,
    managementUrl,
    setDefaultA: (ip) => post("set-default-ipv4", { ip }),
    setServfail: (host) => post("set-servfail", { host }),
    clearServfail: (host) => post("clear-servfail", { host }),
    addA: (host, ips) => post("add-a", { host, addresses: ips }),
    clearA: (host) => post("clear-a", { host }),
    addAaaa: (host, ips) => post("add-aaaa", { host, addresses: ips }),
    clearAaaa: (host) => post("clear-aaaa", { host }),
    addCaa: (host, policies) => post("add-caa", { host, policies }),
    clearCaa: (host) => post("clear-caa", { host }),
    setCname: (host, target) => post("set-cname", { host, target }),
    clearCname: (host) => post("clear-cname", { host }),
    setTxt: (host, value) => post("set-txt", { host: dotted(host), value }),
    clearTxt: (host) => post("clear-txt", { host: dotted(host) }),
  };
}
