/**
 * A worker process that takes jobs and never finishes one, to be killed: `queue-holder.ts REDIS_URL QUEUE`. Writes
 * "holding N" for the N-th job it has taken.
 */
import { consume } from "../../src/queue/consumer.ts";
import { openRedis } from "../../src/store/redis.ts";

const [url = "", queue = ""] = process.argv.slice(2);
let held = 0;
consume<unknown>({
  queue,
  redis: openRedis(url, "holder"),
  concurrency: 3,
  handle: async () => {
    process.stdout.write(`holding ${++held}\n`);
    return await new Promise<never>(() => undefined);
  },
  onFault: (error) => process.stderr.write(`${error.message}\n`),
});
