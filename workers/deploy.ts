/** Deploys to the nodes of this host (CERTHERD_NODE), and looks at what they serve. One on each of them. */
import { runProcess } from "../src/runtime/process.ts";

await runProcess(["deploy"]);
