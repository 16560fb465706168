/** A house on a Redis and in a folder of its own, with no role running in it. */
import { type Config, loadConfig } from "../../src/config/load.ts";
import type { IssuanceDeps } from "../../src/issuance/ports.ts";
import { CaAccount } from "../../src/runtime/accounts.ts";
import { House } from "../../src/runtime/house.ts";
import { issuanceDeps } from "../../src/runtime/issue.ts";
import { openCheckedRedis } from "../../src/store/redis.ts";
import { tempDir } from "./temp.ts";

export interface TestHouse {
  house: House;
  account: CaAccount;
  /** What issuing works with; anything may be replaced. */
  deps(more?: Partial<IssuanceDeps>): IssuanceDeps;
  close(): Promise<void>;
}

/** `env` and `more` go over the defaults: a CA that nobody can reach, and a retry after a minute. */
export async function openTestHouse(
  redisUrl: string,
  env: Record<string, string> = {},
  more: Partial<Config> = {},
): Promise<TestHouse> {
  const defaults = {
    CERTHERD_CA: "https://ca.invalid/directory",
    CERTHERD_HOME: tempDir("certherd-home"),
    CERTHERD_PREFLIGHT: "off",
  };
  const config = { ...loadConfig({ ...defaults, REDIS_URL: redisUrl, ...env }), retry: [60_000], ...more };
  const house = new House(config, await openCheckedRedis(redisUrl, "test"), () => undefined);
  const account = new CaAccount(config.cas[0], config, house.redis, house.clock);
  return {
    house,
    account,
    deps: (other = {}) => ({ ...issuanceDeps(house, account, async () => true), ...other }),
    async close() {
      await account.close();
      await house.close();
    },
  };
}
