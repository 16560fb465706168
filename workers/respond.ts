/** Answers http-01 challenges on every ACMEPort in use. One on each node that the load balancer sends them to. */
import { runProcess } from "../src/runtime/process.ts";

await runProcess(["respond"]);
