import { it } from "vitest";

/** Whether there is time: with `npm run test:full`. */
export const isLong = process.env.LONG_TESTS === "1";

/** For what takes half a minute and has a shorter proof beside it. */
export const long = it.runIf(isLong);
