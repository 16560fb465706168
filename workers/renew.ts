/** Renews what is due. One is enough; more do no harm. */
import { runProcess } from "../src/runtime/process.ts";

await runProcess(["renew"]);
