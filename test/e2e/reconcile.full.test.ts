/** `certherd reconcile` over 100,000 certificates. Prints how long it takes. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { CertificateStore } from "../../src/store/certificates.ts";
import { Installation } from "../support/certherd.ts";
import { certificateMaker, writeCertificate } from "../support/many-certificates.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

const COUNT = Number(process.env.RECONCILE_COUNT ?? 100_000);

interface Document {
  seconds: number;
  mended: number;
  person: number;
  looked: Record<string, number>;
  found: { what: string; count: number }[];
}

let redis: RedisServer;
let house: Installation;

beforeAll(async () => {
  redis = await startRedis();
  house = new Installation({ env: { CERTHERD_CA: "https://ca.invalid/directory", REDIS_URL: redis.url } });
  const make = await certificateMaker();
  for (let n = 0; n < COUNT; n++)
    writeCertificate(house.home, make(`host${n}.customer${n % 997}.example`, n));
}, 600_000);

afterAll(async () => {
  await redis?.stop();
});

it(`goes through ${COUNT} certificates`, async () => {
  const times: string[] = [];
  const run = async (what: string, ...args: string[]): Promise<Document> => {
    const document = await house.json<Document>("reconcile", ...args);
    times.push(`${what}: ${document.seconds} s`);
    return document;
  };
  const before = await run("Redis lost, dry run", "--dry-run");
  const lost = await run("Redis lost");
  expect(before.found).toEqual(lost.found);
  expect(lost.found.find(({ what }) => what === "restored")?.count).toBe(COUNT);
  const second = await run("all agrees");
  expect(second).toMatchObject({ mended: 0, person: 0, looked: { folders: COUNT, certificates: COUNT } });
  expect(await new CertificateStore(redis.client()).count()).toBe(COUNT);
  console.log(`reconcile, ${COUNT} certificates: ${times.join("; ")}`);
});
