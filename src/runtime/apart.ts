/** The program of a `Part`: one role, by its name. */
import type { Role } from "../store/alive.ts";
import { runPart } from "./process.ts";

await runPart([process.argv[2] as Role]);
