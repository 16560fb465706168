import { networkInterfaces } from "node:os";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isLocal, watchActivity } from "../../../src/runtime/activity.ts";
import type { Service } from "../../../src/runtime/service.ts";

describe("an address of this host", () => {
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);

  it.each(own.map(({ address }) => address))("is %s, as an interface has it", (address) => {
    expect(isLocal(address)).toBe(true);
  });

  it.each(["localhost", "127.0.0.1", "127.7.0.9", "::ffff:127.0.0.1"])("is %s", (address) => {
    expect(isLocal(address)).toBe(true);
  });

  it.skipIf(!own.some(({ address }) => address === "::1"))("is ::1 in any spelling", () => {
    expect(["::1", "0:0:0:0:0:0:0:1", "0000::0001", "::1%lo"].map(isLocal)).toEqual([true, true, true, true]);
  });

  it.each(["192.0.2.1", "2001:db8::1", "12.7.0.1", "example.com", ""])("is not %j", (address) => {
    expect(isLocal(address)).toBe(false);
  });
});

describe("the watch", () => {
  let active: boolean;
  let told: boolean[];
  let watch: Service | undefined;
  /** Lets onChange end; undefined where it ends at once. */
  let hold: Promise<void> | undefined;

  beforeEach(() => {
    vi.useFakeTimers();
    active = false;
    told = [];
    hold = undefined;
  });

  afterEach(async () => {
    await watch?.close();
    watch = undefined;
    vi.useRealTimers();
  });

  const look = () => active;
  const onChange = async (now: boolean) => {
    told.push(now);
    await hold;
  };
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

  it("tells the present state first, before it resolves", async () => {
    watch = await watchActivity({ look, onChange });
    expect(told).toEqual([false]);
  });

  it("tells each change once, every two seconds", async () => {
    watch = await watchActivity({ look, onChange });
    active = true;
    await pass(1_999);
    expect(told).toEqual([false]);
    await pass(1);
    expect(told).toEqual([false, true]);
    await pass(10_000);
    expect(told).toEqual([false, true]);
    active = false;
    await pass(2_000);
    expect(told).toEqual([false, true, false]);
  });

  it("is always active without an address, and not while the address is elsewhere", async () => {
    watch = await watchActivity({ onChange });
    const elsewhere = await watchActivity({ address: "192.0.2.1", onChange });
    await pass(10_000);
    await elsewhere.close();
    expect(told).toEqual([true, false]);
  });

  it("tells nothing while onChange is busy, and the last state after it", async () => {
    watch = await watchActivity({ look, onChange, every: 10 });
    let release = () => {};
    hold = new Promise((resolve) => {
      release = resolve;
    });
    for (const next of [true, false, true, false]) {
      active = next;
      await pass(10);
    }
    expect(told).toEqual([false, true]);
    hold = undefined;
    release();
    await pass(0);
    expect(told).toEqual([false, true, false]);
  });

  it("tells nothing more where the state is again what onChange was busy with", async () => {
    watch = await watchActivity({ look, onChange, every: 10 });
    let release = () => {};
    hold = new Promise((resolve) => {
      release = resolve;
    });
    for (const next of [true, false, true]) {
      active = next;
      await pass(10);
    }
    release();
    await pass(100);
    expect(told).toEqual([false, true]);
  });

  it("waits at its close for the onChange that is busy, and calls no other", async () => {
    watch = await watchActivity({ look, onChange, every: 10 });
    let release = () => {};
    hold = new Promise((resolve) => {
      release = resolve;
    });
    active = true;
    await pass(10);
    active = false;
    await pass(10);
    let isClosed = false;
    const closing = watch.close().then(() => {
      isClosed = true;
    });
    await pass(100);
    expect(isClosed).toBe(false);
    release();
    await closing;
    await pass(100);
    expect(told).toEqual([false, true]);
  });

  it("rejects with what the first onChange throws, and looks no more", async () => {
    const starting = watchActivity({ look, onChange: () => Promise.reject(new Error("no")) });
    await expect(starting).rejects.toThrow("no");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("tells a change again that onChange could not follow, and the failure once for each try", async () => {
    const errors: unknown[] = [];
    let failures = 2;
    watch = await watchActivity({
      look,
      every: 10,
      onError: (error) => errors.push(error),
      onChange: async (now) => {
        told.push(now);
        if (now && failures-- > 0) throw new Error("not yet");
      },
    });
    active = true;
    await pass(100);
    expect(told).toEqual([false, true, true, true]);
    expect(errors).toEqual([new Error("not yet"), new Error("not yet")]);
  });

  it("keeps the last state where a look fails", async () => {
    const onError = vi.fn();
    const failing = vi.fn(look);
    watch = await watchActivity({ look: failing, onChange, onError, every: 10 });
    failing.mockImplementationOnce(() => {
      throw new Error("no interfaces");
    });
    await pass(10);
    expect(onError).toHaveBeenCalledOnce();
    active = true;
    await pass(10);
    expect(told).toEqual([false, true]);
  });
});
