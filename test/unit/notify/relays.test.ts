import { beforeEach, describe, expect, it } from "vitest";
import { BOXES, isImportBox, mailGroup } from "../../../src/notify/groups.ts";
import { type Entry, Relays } from "../../../src/notify/relays.ts";

let now = 0;
let relays: Relays;

beforeEach(() => {
  now = 1_000_000;
  relays = new Relays({ rest: 30_000, slow: 2_000 }, { now: () => now });
});

function leave(entry: Entry, worked: boolean): void {
  if (entry.kind !== "open") throw new Error(`it is ${entry.kind}`);
  entry.leave(worked);
}

describe("relays", () => {
  it("takes as many mails as there are while a relay is quick", () => {
    for (let i = 0; i < 5; i++) expect(relays.enter("a:25").kind).toBe("open");
  });

  it("lets one that failed rest, and then tries it with a single mail", () => {
    leave(relays.enter("a:25"), false);
    expect(relays.enter("a:25").kind).toBe("resting");
    expect(relays.enter("b:25").kind).toBe("open");
    now += 30_000;
    const probe = relays.enter("a:25");
    expect(relays.enter("a:25").kind).toBe("busy");
    leave(probe, true);
    expect([relays.enter("a:25").kind, relays.enter("a:25").kind]).toEqual(["open", "open"]);
  });

  it("gives a slow one two places, while it is slow", () => {
    const first = relays.enter("a:25");
    const second = relays.enter("a:25");
    now += 2_001;
    expect(relays.enter("a:25").kind).toBe("busy");
    leave(first, true);
    leave(second, true);
    const [third] = [relays.enter("a:25"), relays.enter("a:25")];
    expect(relays.enter("a:25").kind).toBe("busy");
    now += 10;
    leave(third as Entry, true);
    expect([relays.enter("a:25").kind, relays.enter("a:25").kind]).toEqual(["open", "open"]);
  });

  it("forgets relays at rest rather than growing without end", () => {
    const held = relays.enter("held:25");
    for (let i = 0; i < 2_500; i++) leave(relays.enter(`r${i}:25`), true);
    leave(held, false);
    expect(relays.enter("held:25").kind).toBe("resting");
  });
});

describe("groups", () => {
  const route = { to: "ops@example.com", relay: "mail.example.com", port: 25 };

  it("are the same for the same sender, recipient and relay, and fit into a job's id", () => {
    const group = mailGroup(route, "certs@example.com");
    expect(group).toMatch(/^[\w-]{16}$/);
    expect(mailGroup({ ...route, from: "certs@example.com" })).toBe(group);
    expect(mailGroup({ ...route, relay: "MAIL.example.com" }, "certs@example.com")).toBe(group);
    const others = [
      mailGroup(route),
      mailGroup({ ...route, port: 26 }, "certs@example.com"),
      mailGroup({ ...route, to: "other@example.com" }, "certs@example.com"),
      mailGroup({ ...route, relay: "mail2.example.com" }, "certs@example.com"),
    ];
    expect(new Set([group, ...others]).size).toBe(5);
  });

  it("tell an import's box from the others", () => {
    expect([BOXES.now, BOXES.later, BOXES.each("a.example")].map(isImportBox)).toEqual([false, false, false]);
    expect(isImportBox("20260830-141501-abc")).toBe(true);
  });
});
