/** kill -9 in the middle of deploying, to two HAProxy nodes, as often as wanted. */
import { join } from "node:path";
import { expect } from "vitest";
import { openStage, startCertherd, startWorker, stopProcess } from "../../scripts/stage.ts";
import { Installation } from "./certherd.ts";
import { expectClean, fleetCsv, fleetNames, processOf, servedOtherwise, untilStatus } from "./fleet.ts";
import { startHaproxy } from "./haproxy.ts";
import { type KillOptions, killAgainAndAgain } from "./kills.ts";
import { randomFrom } from "./random.ts";
import { startRedis } from "./redis.ts";
import { type SocketMeter, startSocketMeter } from "./socket-meter.ts";
import { haproxyNode, terminationYaml } from "./terminations.ts";

export interface Kills extends Pick<KillOptions, "kills" | "most" | "patience"> {
  /** Decides which process is killed, and when. Printed, so that a failure can be repeated. */
  seed: number;
  names: number;
  /** All are issued before the first node is touched; else certificates come in while the killing goes on. */
  issuedFirst?: boolean;
}

/** Afterwards all are served, nothing is half done, and nothing was ordered again. */
export async function proveKills({ seed, names: count, issuedFirst = false, ...killing }: Kills) {
  const started: { stop(): Promise<unknown> }[] = [];
  const running = <T extends { stop(): Promise<unknown> }>(one: T): T => {
    started.push(one);
    return one;
  };
  try {
    console.info(`kills with seed ${seed}`);
    const stage = await openStage({ gate: true, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
    running({ stop: () => stage.close() });
    const redis = running(await startRedis({ appendOnly: true }));
    const nodes = [running(await startHaproxy()), running(await startHaproxy())];
    const meters: SocketMeter[] = [];
    for (const { socket } of nodes) meters.push(running(await startSocketMeter(socket)));
    const house = new Installation(stage, { REDIS_URL: redis.url });
    house.config(
      terminationYaml(
        nodes.map((node, index) =>
          haproxyNode(`lb${index}`, { ...node, socket: meters[index]?.socket ?? "" }),
        ),
      ),
    );
    const log = join(house.home, "processes.log");
    const before = await Promise.all(nodes.map(processOf));
    const steady = ["respond", "issue"].map((role) => startWorker(role, house.env, log));
    running({ stop: () => Promise.all(steady.map(stopProcess)) });
    const names = fleetNames(count);
    expect((await house.run(["import", fleetCsv(house, stage, names)])).code).toBe(0);
    if (issuedFirst) {
      await untilStatus(house, "waiting", count, { timeoutMs: 120_000 });
      await Promise.all(steady.map(stopProcess));
    }

    const random = randomFrom(seed);
    const { child, moments } = await killAgainAndAgain({
      ...killing,
      random,
      meters,
      start: () =>
        // One that orders as well would order anew what it was killed at.
        issuedFirst && random.oneIn(2)
          ? startCertherd(["up"], house.env, log)
          : startWorker("deploy", house.env, log),
    });
    running({ stop: () => stopProcess(child) });
    console.info(`killed: ${moments.join("; ")}`);
    const certificates = await untilStatus(house, "serving", count, { timeoutMs: 120_000 });

    for (const [index, node] of nodes.entries()) {
      expect(await servedOtherwise(node.port, certificates), `lb${index} serves otherwise`).toEqual([]);
      await expectClean(node, names);
      const { pid, uptime } = await processOf(node);
      expect(pid).toBe(before[index]?.pid);
      expect(uptime).toBeGreaterThanOrEqual(before[index]?.uptime ?? 0);
    }
    expect(stage.requests().newOrder, "orders at the CA").toBe(count);
    return { moments };
  } finally {
    for (const { stop } of started.reverse()) await stop();
  }
}
