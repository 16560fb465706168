import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStage, type Stage, startWorker, stopProcess } from "../../scripts/stage.ts";
import { byStatus, Installation, type ListedCertificate } from "../support/certherd.ts";
import { freePort, waitUntil } from "../support/temp.ts";

describe("what fails costs no more than it must", () => {
  let stage: Stage;

  beforeAll(async () => {
    stage = await openStage({ gate: false });
  });

  afterAll(async () => {
    await stage?.close();
  });

  /** Validations that the CA has begun for one name. */
  const validations = (name: string): number =>
    stage.pebble.log().filter((line) => line.includes(`Pulled a task`) && line.includes(`Value:"${name}"`))
      .length;

  it("a name in three certificates, retried as fast as it goes, is validated five times in an hour", async () => {
    const name = "bad.moo.com";
    await stage.pebble.dns.setServfail(name);
    const house = new Installation(stage);
    house.config("retry: [1s]\n");
    const log = join(house.home, "workers.log");
    const workers = ["respond", "issue"].map((role) => startWorker(role, house.env, log));
    try {
      const rows = [name, `one.moo.com ${name}`, `two.moo.com ${name}`].map(
        (names) => `${names},443,${stage.acmePort}`,
      );
      await house.run(["import", house.csv("bad.csv", rows)]);
      const tryAgain = async (): Promise<void> => {
        await house.run(["retry"]);
        await sleep(300);
      };
      const deadline = Date.now() + 40_000;
      while (validations(name) < 5 && Date.now() < deadline) await tryAgain();
      for (let more = 0; more < 5; more++) await tryAgain();
      expect(validations(name)).toBe(5);
      const listed = await house.list();
      expect(byStatus(listed)).toEqual({ waiting: 3 });
      const held = listed.filter(({ reason }) => reason === "limit");
      expect(held.length).toBeGreaterThan(0);
      for (const { until } of held) expect(Date.parse(until ?? "")).toBeGreaterThan(Date.now() + 3_000_000);
    } finally {
      await Promise.all(workers.map(stopProcess));
      await house.close();
    }
  });

  it("goes on by itself after the retry delay, once the name resolves", async () => {
    const name = "late.moo.com";
    await stage.pebble.dns.setServfail(name);
    const house = new Installation(stage);
    house.config("retry: [2s]\n");
    const log = join(house.home, "workers.log");
    const workers = ["respond", "issue"].map((role) => startWorker(role, house.env, log));
    const status = async (): Promise<ListedCertificate | undefined> => (await house.list())[0];
    try {
      await house.run(["import", house.csv("late.csv", [`${name},443,${stage.acmePort}`])]);
      await waitUntil(async () => (await status())?.reason === "retry", {
        timeoutMs: 20_000,
        what: "the first failure",
      });
      await stage.pebble.dns.clearServfail(name);
      await waitUntil(async () => (await status())?.status === "issued", {
        timeoutMs: 30_000,
        what: "the retry",
      });
    } finally {
      await Promise.all(workers.map(stopProcess));
      await house.close();
    }
  });

  it("a port that something else has taken stops its own certificates and no others", async () => {
    const taken = await freePort();
    const other: Server = createServer().listen(taken, "127.0.0.1");
    const house = new Installation(stage);
    try {
      const rows = [`taken.moo.com,443,${taken}`, `free.moo.com,443,${stage.acmePort}`];
      const { code } = await house.run(["import", house.csv("ports.csv", rows), "--wait"]);
      expect(code).toBe(1);
      const listed = await house.list();
      expect(listed.find(({ name }) => name === "free.moo.com")?.status).toBe("issued");
      const stopped = listed.find(({ name }) => name === "taken.moo.com");
      expect(stopped).toMatchObject({
        status: "attention",
        reason: "node",
        error: { code: "acme_port_taken" },
      });
      expect(stopped?.detail).toContain(`Port ${taken} on 127.0.0.1 is taken by another program`);
      expect(validations("taken.moo.com")).toBe(0);
    } finally {
      other.close();
      await house.close();
    }
  });
});
