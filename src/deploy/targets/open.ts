import type { NodeConfig } from "../../config/terminations.ts";
import type { Clock } from "../../core/clock.ts";
import type { Pace, Target } from "../target.ts";
import { createApplianceTarget } from "./appliance/target.ts";
import { createCommandTarget } from "./command.ts";
import { createFilesTarget } from "./files.ts";
import { createHaproxyTarget } from "./haproxy/target.ts";
import { createStunnelTarget } from "./stunnel/target.ts";

export interface TargetPorts {
  pace: Pace;
  clock: Clock;
  /** Where a certificate's files are on this host. */
  paths(id: string): { cert: string; key: string; ca: string; fullchain: string };
}

/** What a node is given its certificates through. Connects to nothing yet. */
export function openTarget(node: NodeConfig, ports: TargetPorts): Target {
  const { target } = node;
  switch (target.kind) {
    case "haproxy":
      return createHaproxyTarget(target);
    case "stunnel":
      return createStunnelTarget(target, { ...ports, node });
    case "loadbalancerOrg":
      return createApplianceTarget(target, ports);
    case "files":
      return createFilesTarget(target);
    case "command":
      return createCommandTarget(target, ports);
  }
}
