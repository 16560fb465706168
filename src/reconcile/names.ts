import { type CertificateSpec, firstNameOf, otherNames } from "../core/certificate.ts";
import { keys } from "../store/keys.ts";
import { execAll, Script } from "../store/script.ts";
import type { ReconcileDeps } from "./ports.ts";

/** Notes what else a certificate is found by, unless it was asked for with other names meanwhile. */
const nameScript = new Script(
  "reconcile_names",
  `
if redis.call('HGET', KEYS[1], 'spec') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then return redis.call('HDEL', KEYS[2], ARGV[1]) end
return redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
`,
);

/** Every certificate is found by all its names. Damaged records are passed over. */
export async function healNames(
  { redis, report }: Pick<ReconcileDeps, "redis" | "report">,
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  const reading = redis.pipeline().hmget(keys.otherNames, ...ids);
  for (const id of ids) reading.hget(keys.certificate(id), "spec");
  const [known, ...specs] = ((await reading.exec()) ?? []).map(([, value]) => value);
  const mending = nameScript.pipeline(redis);
  for (const [index, id] of ids.entries()) {
    const text = specs[index];
    const wanted = typeof text === "string" ? namesIn(text) : undefined;
    const before = (known as (string | null)[])[index] ?? "";
    if (wanted === undefined || wanted === before) continue;
    report.add("names_missing", firstNameOf(id));
    if (!report.dryRun)
      nameScript.queue(mending, [keys.certificate(id), keys.otherNames], [id, String(text), wanted]);
  }
  if (mending.length > 0) await execAll(mending);
}

function namesIn(spec: string): string | undefined {
  try {
    return otherNames((JSON.parse(spec) as CertificateSpec).names);
  } catch {
    return undefined;
  }
}
