/** Renews what is due, and takes up what died in the middle elsewhere. One is enough; more do no harm. */
import { runProcess } from "../src/runtime/process.ts";

await runProcess(["renew"]);
