/** A fleet of names to one stunnel node. */
import { join } from "node:path";
import { expect } from "vitest";
import { openStage, startCertherd, stopProcess } from "../../scripts/stage.ts";
import { Installation } from "./certherd.ts";
import { fleetCsv, fleetNames, servedOtherwise, untilStatus } from "./fleet.ts";
import { startStunnel, type TestStunnel } from "./stunnel.ts";
import { waitUntil } from "./temp.ts";
import { terminationYaml } from "./terminations.ts";

export interface Fleet {
  names: number;
  /** They are imported in so many parts, each as soon as the reload for the one before has begun. */
  parts: number;
  /** Seconds. */
  reloadEvery: number;
}

/** All are served in the end, with no two reloads within `reloadEvery`. */
export async function proveStunnel({ names: count, parts, reloadEvery }: Fleet) {
  const started: { stop(): Promise<unknown> }[] = [];
  try {
    const stage = await openStage({ gate: true, env: { PEBBLE_WFE_NONCEREJECT: "0" } });
    started.push({ stop: () => stage.close() });
    const stunnel = await startStunnel();
    started.push(stunnel);
    const house = new Installation(stage);
    started.push({ stop: () => house.close() });
    const { config, services, certDir, master, connect, pidFile, program, port } = stunnel;
    const target = { config, services, certDir, master, connect, pidFile, program };
    house.config(
      terminationYaml([
        {
          name: "edge",
          address: "127.0.0.1",
          port,
          target: { stunnel: { ...target, reloadEvery: `${reloadEvery}s` } },
        },
      ]),
    );
    const pid = stunnel.pid();
    const up = startCertherd(["up"], house.env, join(house.home, "up.log"));
    started.push({ stop: () => stopProcess(up) });
    const since = Date.now();
    const names = fleetNames(count);
    for (let part = 0; part < parts; part++) {
      await waitUntil(() => stunnel.reloads() >= part, { timeoutMs: 60_000, what: `reload ${part}` });
      const these = names.filter((_, index) => index % parts === part);
      expect((await house.run(["import", fleetCsv(house, stage, these)])).code).toBe(0);
    }
    const certificates = await untilStatus(house, "serving", count, { timeoutMs: 180_000 });
    const seconds = (Date.now() - since) / 1_000;

    expect(await servedOtherwise(port, certificates)).toEqual([]);
    expect(stunnel.pid()).toBe(pid);
    const times = reloadTimes(stunnel);
    expect(times).toHaveLength(stunnel.reloads());
    expect(times.length).toBeGreaterThanOrEqual(parts);
    expect(times.length).toBeLessThanOrEqual(1 + seconds / reloadEvery);
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    // The log tells whole seconds, so that two moments may lie almost one more apart than it seems.
    for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(reloadEvery - 1);
    return { reloads: times.length, pauses, seconds };
  } finally {
    for (const { stop } of started.reverse()) await stop();
  }
}

/** Seconds of each time the configuration was read, but for the start. */
function reloadTimes(stunnel: TestStunnel): number[] {
  const found = stunnel
    .log()
    .matchAll(/^(\d{4})\.(\d\d)\.(\d\d) (\d\d:\d\d:\d\d) .*Reading configuration from file (.+)$/gm);
  return [...found]
    .filter(([, , , , , file]) => file === stunnel.config)
    .map(([, year, month, day, time]) => Date.parse(`${year}-${month}-${day}T${time}Z`) / 1_000)
    .slice(1);
}
