/** A cursor comes back as it was given, and no other is taken. */
import { describe, expect, it } from "vitest";
import { type Cursor, readCursor, writeCursor } from "../../../src/api/cursor.ts";

const place = { score: "1788000000000", id: "_.a.example" };
const cursors: Cursor[] = [
  { sort: "name", part: "rest", place: { score: "0", id: "a.example" } },
  { sort: "name", part: "beginning", place: { score: "0", id: "a.example" } },
  { sort: "expires", part: "rest", place },
  { sort: "renews", part: "rest", place: { ...place, score: "-1.5" } },
];

describe("a cursor", () => {
  it.each(cursors)("goes there and back: $sort, $part", (cursor) => {
    expect(readCursor(writeCursor(cursor), cursor.sort)).toEqual(cursor);
  });

  it("is that of one order alone", () => {
    expect(() => readCursor(writeCursor(cursors[2] as Cursor), "renews")).toThrow();
    expect(() => readCursor(writeCursor(cursors[0] as Cursor), "expires")).toThrow();
    expect(() => readCursor(writeCursor(cursors[2] as Cursor), "name")).toThrow();
  });

  it("is nothing made up", () => {
    const made = ["", "^", "expires 1 a b", "expires inf a", "expires (1 a", "expires  a"];
    for (const text of made) {
      const cursor = Buffer.from(text).toString("base64url");
      for (const sort of ["name", "expires"] as const)
        if (!(sort === "name" && text !== "" && text !== "^" && !text.includes(" ")))
          expect(() => readCursor(cursor, sort), text).toThrow();
    }
    expect(() => readCursor("a+b=", "name")).toThrow();
  });
});
