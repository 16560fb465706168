import { afterAll, beforeAll, expect } from "vitest";
import { waitUntil } from "./temp.ts";

/** What keeps a process alive and what a test can forget to close. Vitest's own timers and pipes come and go. */
const WATCHED = ["TCPSocketWrap", "TCPServerWrap", "ProcessWrap", "FSReqCallback", "Timeout", "UDPWrap"];

function open(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => WATCHED.includes(kind));
}

let before: string[] = [];

beforeAll(() => {
  before = open();
});

/** A worker, timer or connection that outlives its test file fails it: in a real process it would never end. */
afterAll(async () => {
  // One timer is the wait's own.
  const allowed = [...before, "Timeout", "Timeout"];
  const extra = (): string[] => {
    const rest = [...allowed];
    return open().filter((kind) => {
      const index = rest.indexOf(kind);
      if (index >= 0) rest.splice(index, 1);
      return index < 0;
    });
  };
  await waitUntil(() => extra().length === 0, {
    timeoutMs: 5_000,
    what: "the test's handles to close",
  }).catch(() => undefined);
  expect(extra(), "left open by this test file").toEqual([]);
});
