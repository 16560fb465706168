import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import type { Redis } from "../../src/store/redis.ts";
import { Turns } from "../../src/store/turns.ts";
import { withRedis } from "../support/with-redis.ts";

let redis: Redis;
let turns: Turns;
withRedis((client) => {
  redis = client;
  turns = new Turns(client);
});

it("is one's at a time, until he gives it back", async () => {
  expect(await turns.take("443", "a")).toBe(true);
  expect(await turns.take("443", "b")).toBe(false);
  expect(await turns.take("8443", "b")).toBe(true);
  await turns.give("443", "b");
  expect(await turns.take("443", "b")).toBe(false);
  await turns.give("443", "a");
  expect(await turns.take("443", "b")).toBe(true);
});

it("goes to who has asked first, not to who has just had it", async () => {
  await turns.take("443", "a");
  expect(await turns.take("443", "b")).toBe(false);
  await turns.give("443", "a");
  expect(await turns.take("443", "a")).toBe(false);
  expect(await turns.take("443", "b")).toBe(true);
});

it("goes past who does not ask any more", async () => {
  await turns.take("443", "a");
  await turns.take("443", "b");
  await turns.give("443", "a");
  await redis.zadd("{certherd}:turn:443:last", 1, "b");
  expect(await turns.take("443", "c")).toBe(true);
});

it("is kept by asking again, and lapses when its holder has died", async () => {
  await turns.take("443", "a");
  await redis.pexpire("{certherd}:turn:443", 40);
  expect(await turns.take("443", "a")).toBe(true);
  await sleep(60);
  expect(await turns.take("443", "b")).toBe(false);
  await redis.pexpire("{certherd}:turn:443", 1);
  await sleep(20);
  expect(await turns.take("443", "b")).toBe(true);
});
