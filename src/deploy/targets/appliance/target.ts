import type { LoadbalancerOrgTarget } from "../../../config/terminations.ts";
import { firstNameOf } from "../../../core/certificate.ts";
import { AppError } from "../../../core/errors.ts";
import {
  type Bundle,
  type Examined,
  type Failures,
  NO_FAILURES,
  type Pace,
  type Removal,
  type Target,
} from "../../target.ts";
import { ApplianceApi } from "./api.ts";
import { ApplianceClient } from "./client.ts";
import { SniEntries } from "./entries.ts";
import { examineAppliance } from "./examine.ts";
import { Labels, labelOf } from "./label.ts";
import { CertificatePages } from "./upload.ts";

export interface AppliancePorts {
  pace: Pace;
}

/** Gives a Loadbalancer.org appliance its certificates, over its web interface and its API v2. */
export function createApplianceTarget(config: LoadbalancerOrgTarget, ports: AppliancePorts): Target {
  return new Appliance(config, ports);
}

/**
 * Every leaf has a label of its own: it is uploaded beside the one in use, the names' SNI entries are pointed at it, one
 * reload brings all of the batch into use, and only then are the labels before deleted. So the old certificate is served
 * until the new one is, whatever happens in between, and until the reload has come about nothing need be uploaded again
 * to go back.
 *
 * Nothing of it is kept here: what is uploaded is in the appliance's list, and everything after it can be done twice.
 */
class Appliance implements Target {
  readonly batch = 200;
  readonly gather = 2_000;
  readonly #config: LoadbalancerOrgTarget;
  readonly #pace: Pace;
  readonly #client: ApplianceClient;
  readonly #api: ApplianceApi;
  readonly #pages: CertificatePages;
  readonly #entries: SniEntries;

  constructor(config: LoadbalancerOrgTarget, { pace }: AppliancePorts) {
    this.#config = config;
    this.#pace = pace;
    this.#client = new ApplianceClient(config);
    this.#api = new ApplianceApi(this.#client, config);
    this.#pages = new CertificatePages(this.#client);
    this.#entries = new SniEntries(this.#api, config);
  }

  async rest(): Promise<number> {
    return await this.#pace.rest(this.#config.reloadEvery);
  }

  async put(bundles: readonly Bundle[]): Promise<Failures> {
    if (bundles.length === 0) return NO_FAILURES;
    const { vip } = this.#config;
    const failures = new Map<string, AppError>();
    const labels = await this.#labels();
    const uploaded = await this.#upload(latest(bundles), labels, failures);
    const refused = await this.#entries.point(
      uploaded.flatMap((bundle) => {
        const label = labelOf(vip, bundle);
        const isThere = labels.of(bundle).length > 0;
        return bundle.names.map((name) => ({ name, label, isThere }));
      }),
    );
    for (const bundle of uploaded) {
      const name = bundle.names.find((each) => refused.has(each));
      if (name !== undefined)
        failures.set(
          bundle.id,
          this.#refusal(bundle, `does not use it for ${name}`, refused.get(name) ?? ""),
        );
    }
    const pointed = uploaded.filter(({ id }) => !failures.has(id));
    if (pointed.length === 0) return failures;
    await this.#reload();
    const former = pointed.flatMap((bundle) => {
      const label = labelOf(vip, bundle);
      return labels.of(bundle).filter((other) => other !== label);
    });
    await this.#pages.remove(former);
    return failures;
  }

  async remove(removals: readonly Removal[]): Promise<Failures> {
    if (removals.length === 0) return NO_FAILURES;
    const failures = new Map<string, AppError>();
    const labels = await this.#labels();
    const results = await this.#entries.remove([...new Set(removals.flatMap(({ names }) => names))]);
    let changed = false;
    for (const removal of removals)
      for (const name of removal.names) {
        const { status, words } = results.get(name) ?? { status: "missing", words: "" };
        if (status === "success") changed = true;
        else if (status !== "missing")
          failures.set(removal.id, this.#refusal(removal, `keeps the SNI entry of ${name}`, words));
      }
    const doomed = removals
      .filter(({ id }) => !failures.has(id))
      .flatMap((removal) => labels.of(removal).map((label) => ({ label, removal })));
    // Labels that are still there tell that a try before may not have come to its reload.
    if (changed || doomed.length > 0) await this.#reload();
    if (doomed.length === 0) return failures;
    await this.#pages.remove(doomed.map(({ label }) => label));
    const left = await this.#api.certificateWords();
    for (const { label, removal } of doomed)
      if (left.has(label)) failures.set(removal.id, this.#refusal(removal, `keeps ${label}`, ""));
    return failures;
  }

  examine(): AsyncIterable<Examined> {
    return examineAppliance(this.#config, this.#api);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #labels(): Promise<Labels> {
    return new Labels(this.#config.vip, await this.#api.certificateWords());
  }

  /** One after the other, as the appliance writes each of them into the same configuration file. */
  async #upload(
    bundles: readonly Bundle[],
    labels: Labels,
    failures: Map<string, AppError>,
  ): Promise<Bundle[]> {
    const uploaded: Bundle[] = [];
    for (const bundle of bundles) {
      const label = labelOf(this.#config.vip, bundle);
      const words = labels.of(bundle).includes(label) ? undefined : await this.#pages.upload(label, bundle);
      if (words === undefined) uploaded.push(bundle);
      else failures.set(bundle.id, this.#refusal(bundle, "does not take it", words));
    }
    return uploaded;
  }

  async #reload(): Promise<void> {
    await this.#pace.reloading();
    await this.#api.reload();
  }

  #refusal({ id, names }: Removal, what: string, words: string): AppError {
    const name = names[0] ?? firstNameOf(id);
    const says = words === "" ? "It gives no reason" : `It says: ${words}`;
    return new AppError(
      `The certificate of ${name}: the appliance at ${this.#client.host} ${what}. ${says}. Mend that, and: certherd retry`,
      { code: "target_refused", disposition: "attention", identifier: name },
    );
  }
}

/** One of each certificate, the last. */
function latest(bundles: readonly Bundle[]): Bundle[] {
  return [...new Map(bundles.map((bundle) => [bundle.id, bundle])).values()];
}
