import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../core/clock.ts";
import { Producer } from "../queue/producer.ts";
import { CertificateStore } from "../store/certificates.ts";
import { openRedis } from "../store/redis.ts";
import { Forecast, lastOf } from "./forecast.ts";
import type { ForecastAnswer, ForecastQuestion, ForecastSettings } from "./outlook.ts";

/** A thread that plans what is in line, for `outlook.ts`: with 100,000 that takes seconds, in which an API has to answer. */
const { redisUrl, cas, spillAfter } = workerData as ForecastSettings;
const redis = openRedis(redisUrl, "forecast");
const house = {
  redis,
  clock: systemClock,
  certificates: new CertificateStore(redis),
  producer: new Producer(redis, { accounts: cas.map(({ name }) => name) }),
  config: { cas, ...(spillAfter === undefined ? {} : { spillAfter }) },
};
let times: ReadonlyMap<string, number> = new Map();

async function answer({ number, names }: ForecastQuestion): Promise<ForecastAnswer> {
  try {
    if (names !== undefined) return { number, at: lastOf(times, names) };
    times = await new Forecast(house).times();
    return { number, at: lastOf(times) };
  } catch (error) {
    return { number, at: undefined, failed: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on("message", async (question: ForecastQuestion) => {
  parentPort?.postMessage(await answer(question));
});
