/** Sends mail. */
import { runProcess } from "../src/runtime/process.ts";

await runProcess(["notify"]);
