import type { LoadbalancerOrgTarget } from "../../../config/terminations.ts";
import { asAppError } from "../../../core/errors.ts";
import type { Examined } from "../../target.ts";
import { examined } from "../examined.ts";
import type { ApplianceApi } from "./api.ts";
import { Labels } from "./label.ts";

/** Looks at the appliance's own certificate, its API and the termination. What stands behind the first fault is not looked at. */
export async function* examineAppliance(
  config: LoadbalancerOrgTarget,
  api: ApplianceApi,
): AsyncGenerator<Examined> {
  const { vip } = config;
  let words: Set<string>;
  try {
    words = await api.certificateWords();
  } catch (thrown) {
    const { code, message: detail } = asAppError(thrown);
    const isPin = code === "appliance_not_pinned";
    yield { what: isPin ? "appliance's certificate" : "appliance's API", ok: false, detail };
    return;
  }
  yield { what: "appliance's certificate", ok: true, detail: "is the one of the configuration" };
  yield { what: "appliance's API", ok: true, detail: "answers with this user and this key" };
  yield {
    what: "certificates on the appliance",
    ok: true,
    detail: `${new Labels(vip, words).size} of Certherd's in its list`,
  };
  yield await examined("termination", async () =>
    mentions(await api.dump(), vip)
      ? `"${vip}" stands in its configuration`
      : `whether it has "${vip}" cannot be told before the first certificate`,
  );
}

function mentions(value: unknown, word: string): boolean {
  if (value === word) return true;
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(
    ([key, each]) => (key === word && !Array.isArray(value)) || mentions(each, word),
  );
}
