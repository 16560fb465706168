import { parentPort } from "node:worker_threads";
import { lookNow, type Order } from "./looks.ts";

/** A thread that looks into folders, for `looks.ts`. */
parentPort?.on("message", (order: Order) => parentPort?.postMessage(lookNow(order)));
