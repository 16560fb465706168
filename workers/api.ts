/** The HTTP API and the queue dashboard by themselves. */
import { runProcess } from "../src/runtime/process.ts";

await runProcess(["api"]);
