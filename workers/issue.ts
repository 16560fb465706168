/** Issues certificates: admission and orders of every configured CA. Any number of these may run, on any host. */
import { runProcess } from "../src/runtime/process.ts";

await runProcess(["issue"]);
