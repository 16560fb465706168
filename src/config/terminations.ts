import { normalize } from "node:path/posix";
import { z } from "zod";
import { address, duration, port } from "./fields.ts";

const path = z.string().startsWith("/", "give a whole path, from /");

/** `haproxy`: over the runtime socket, and the same on disk. */
const haproxy = z.strictObject({
  /** Path of the unix socket, or `host:port` of a TCP one. */
  socket: z.string().regex(/^(\/.+|(\[[^\]]+\]|[^:/[\]]+):\d{1,5})$/, "give the socket's path, or host:port"),
  crtList: path,
  certDir: path,
  /** Written in brackets behind each certificate in the crt-list: `alpn h2,http/1.1`, say. */
  options: z
    .string()
    .regex(/^[^[\]#\r\n]+$/, "give the options without brackets")
    .optional(),
  timeout: duration.default(5_000),
});

/** `stunnel`: a file of services that its main configuration includes, and SIGHUP. */
const stunnel = z.strictObject({
  /** The main configuration file, in which the master service stands. */
  config: path,
  /** The file for Certherd's services, in the folder that the main configuration includes. */
  services: path,
  certDir: path,
  /** Name of the service that accepts on the VIP port. */
  master: z.string().regex(/^[^\s[\]:]+$/, "give the name that stands in brackets"),
  /** Where each name's connections go: `host:port`, or a port alone. */
  connect: z.string().regex(/^\S+$/),
  pidFile: path,
  program: z.string().default("stunnel"),
  /** At most one reload in this time, as stunnel refuses connections while it reloads. */
  reloadEvery: duration.default(60_000),
});

/** `loadbalancerOrg`: an appliance, through its web interface and its API v2. */
const loadbalancerOrg = z.strictObject({
  /** `https://10.0.0.2:9443` */
  url: z.url({ protocol: /^https$/ }),
  user: z.string().min(1),
  passwordFile: path,
  apiKeyFile: path,
  /** SHA-256 of the appliance's own certificate, as `openssl x509 -fingerprint -sha256` prints it. */
  fingerprint: z
    .string()
    .regex(/^([0-9a-f]{2}:?){31}[0-9a-f]{2}$/i, "give the SHA-256 fingerprint of its certificate")
    .transform((text) => text.replace(/:/g, "").toUpperCase()),
  /** Label of the stunnel termination's VIP. */
  vip: z.string().min(1),
  /** Where each name's connections go: a service of the appliance, or an address and port. */
  backend: z.union([z.strictObject({ service: z.string().min(1) }), z.strictObject({ ip: address, port })]),
  reload: z.enum(["stunnel", "haproxy"]).default("stunnel"),
  reloadEvery: duration.default(60_000),
  timeout: duration.default(30_000),
});

/** `files`: a copy in a folder. */
const files = z.strictObject({
  folder: path,
  /** `pem` (key, leaf and chain in one file), or `separate` (name.cer, name.key, name.ca.cer, name.fullchain.cer). */
  format: z.enum(["pem", "separate"]).default("pem"),
  owner: z.string().optional(),
  group: z.string().optional(),
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/, "write the mode as 0640")
    .default("0600"),
  /** Run once after each batch: program and arguments. */
  reload: z.array(z.string().min(1)).min(1).optional(),
  timeout: duration.default(60_000),
});

/** `command`: a program for each certificate, with paths and names in its environment. */
const command = z.strictObject({
  /** Program and arguments; never a shell's line. */
  run: z.array(z.string().min(1)).min(1),
  /** The same for a certificate that is removed. */
  remove: z.array(z.string().min(1)).min(1).optional(),
  timeout: duration.default(60_000),
});

const KINDS = { haproxy, stunnel, loadbalancerOrg, files, command };

export type HaproxyTarget = { kind: "haproxy" } & z.infer<typeof haproxy>;
export type StunnelTarget = { kind: "stunnel" } & z.infer<typeof stunnel>;
export type LoadbalancerOrgTarget = { kind: "loadbalancerOrg" } & z.infer<typeof loadbalancerOrg>;
export type FilesTarget = { kind: "files" } & z.infer<typeof files>;
export type CommandTarget = { kind: "command" } & z.infer<typeof command>;
export type TargetConfig =
  | HaproxyTarget
  | StunnelTarget
  | LoadbalancerOrgTarget
  | FilesTarget
  | CommandTarget;

const target = z
  .strictObject({
    haproxy: haproxy.optional(),
    stunnel: stunnel.optional(),
    loadbalancerOrg: loadbalancerOrg.optional(),
    files: files.optional(),
    command: command.optional(),
  })
  .transform((given, context): TargetConfig => {
    const found = Object.entries(given).filter(([, settings]) => settings !== undefined);
    const [first] = found;
    if (first && found.length === 1) return { kind: first[0], ...first[1] } as TargetConfig;
    context.addIssue(`a node has one target: ${Object.keys(KINDS).join(", ")}`);
    return z.NEVER;
  });

const node = z.strictObject({
  /** Names its queue (`deploy-<name>`); the same machine may have it in several terminations. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "a node's name is of letters, digits, dots, hyphens and _"),
  /** CERTHERD_NODE of the process that deploys to it; its name when left out. */
  host: z.string().min(1).optional(),
  address,
  port: port.optional(),
  target,
  /** How long a new certificate may take to be served. */
  verifyWithin: duration.optional(),
  /** Whether the nodes behind it wait for it while it cannot be reached: they do for the first one if left out. */
  waitFor: z.boolean().optional(),
});

const termination = z.strictObject({ nodes: z.array(node).min(1, "give at least one node") });

/** The part `terminations` of the configuration file. */
export const terminationsSchema = z
  .record(z.string().regex(/^[1-9]\d{0,4}$/, "a VIP port"), termination)
  .superRefine((given, context) => {
    for (const [vipPort, { nodes }] of Object.entries(given)) {
      const names = nodes.map(({ name }) => name);
      const twice = names.find((name, index) => names.indexOf(name) !== index);
      if (twice) context.addIssue(`${vipPort}: the node "${twice}" stands there twice`);
      if (Number(vipPort) > 65_535) context.addIssue(`${vipPort}: a port is at most 65535`);
    }
    for (const [path, ports] of sharedPaths(given))
      context.addIssue(
        `${ports.join(" and ")}: ${path} stands in both; give each termination one of its own, as what leaves one of them would leave the other`,
      );
  });

/** Lists and folders of a node that more than one termination would write to, with their ports. */
function sharedPaths(
  given: Readonly<Record<string, z.infer<typeof termination>>>,
): [path: string, ports: string[]][] {
  const users = new Map<string, { path: string; ports: Set<string> }>();
  for (const [vipPort, { nodes }] of Object.entries(given))
    for (const { name, host, target: settings } of nodes)
      for (const path of ownedPaths(settings).map((given) => normalize(`${given}/`).slice(0, -1))) {
        const key = `${host ?? name}\n${path}`;
        const { ports } = users.get(key) ?? { ports: new Set<string>() };
        users.set(key, { path: `${path} of ${name}`, ports: ports.add(vipPort) });
      }
  return [...users.values()].flatMap(({ path, ports }) => (ports.size > 1 ? [[path, [...ports]]] : []));
}

function ownedPaths(settings: TargetConfig | undefined): string[] {
  switch (settings?.kind) {
    case "haproxy":
      return [settings.crtList, settings.certDir];
    case "stunnel":
      return [settings.services, settings.certDir];
    case "files":
      return [settings.folder];
    // Those without any, and a target that is wrong in itself, which is told of already.
    default:
      return [];
  }
}

/** One node of one termination: where certificates go, and where it is looked whether they are served. */
export interface NodeConfig {
  name: string;
  host?: string;
  vipPort: number;
  address: string;
  port: number;
  target: TargetConfig;
  /** Milliseconds. */
  verifyWithin: number;
  waitFor?: boolean;
}

/** By VIP port; the nodes in the order of the roll-out. */
export type Terminations = ReadonlyMap<number, readonly NodeConfig[]>;

/** All of them, termination by termination. */
export function allPlaces(terminations: Terminations): NodeConfig[] {
  return [...terminations.values()].flat();
}

/** By name, each once, as a node may stand in several terminations. */
export function nodeNames(terminations: Terminations): string[] {
  return [...new Set(allPlaces(terminations).map(({ name }) => name))];
}

export function isConfigured(
  terminations: Terminations,
  { node, vipPort }: { node: string; vipPort: number },
): boolean {
  return terminations.get(vipPort)?.some(({ name }) => name === node) ?? false;
}

/** A reload, and an appliance, take their time; HAProxy serves at once. */
const VERIFY_WITHIN = {
  haproxy: 3_000,
  files: 10_000,
  command: 10_000,
  stunnel: 20_000,
  loadbalancerOrg: 60_000,
};

export function terminationsOf(given: z.infer<typeof terminationsSchema>): Terminations {
  return new Map(
    Object.entries(given).map(([key, { nodes }]) => {
      const vipPort = Number(key);
      return [
        vipPort,
        nodes.map(({ host, verifyWithin, waitFor, ...rest }) => ({
          ...rest,
          vipPort,
          port: rest.port ?? vipPort,
          verifyWithin: verifyWithin ?? VERIFY_WITHIN[rest.target.kind],
          ...(host === undefined ? {} : { host }),
          ...(waitFor === undefined ? {} : { waitFor }),
        })),
      ];
    }),
  );
}
