/** Taking over what another ACME client has, into a test's house. */
import { adopt } from "../../src/adopt/adopt.ts";
import { detectHome } from "../../src/adopt/detect.ts";
import type { AdoptDocument, AdoptedCertificate } from "../../src/adopt/document.ts";
import type { AdoptRequest } from "../../src/adopt/ports.ts";
import { DEFAULTS } from "../../src/core/certificate.ts";
import { adoptDeps } from "../../src/runtime/adopt.ts";
import type { House } from "../../src/runtime/house.ts";

/** The one that test houses are configured with. */
export const DIRECTORY = "https://ca.invalid/directory";
export const ACCOUNT = "https://ca.invalid/acct/7";

const { vipPort, acmePort, priority } = DEFAULTS;
/** What is asked for when nothing is said. */
export const TEMPLATE = { vipPort, acmePort, priority };

export async function takeOver(
  house: House,
  dir: string,
  more: Partial<AdoptRequest> = {},
): Promise<AdoptDocument> {
  const request = { template: TEMPLATE, force: false, ...more };
  return await adopt(adoptDeps(house, await detectHome(dir)), request);
}

/** The one of that name that was not left out. */
export function resultOf({ certificates }: AdoptDocument, name: string): AdoptedCertificate {
  const found = certificates.find((one) => one.name === name && one.action !== "left");
  if (!found) throw new Error(`${name} is not told of`);
  return found;
}
