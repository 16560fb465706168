import { it } from "vitest";

/** Whether there is time: with `npm run test:full`. */
export const isLong = process.env.LONG_TESTS === "1";

/** For what takes long, and has a shorter proof beside it (of its parts, or with smaller numbers). */
export const long = it.runIf(isLong);
