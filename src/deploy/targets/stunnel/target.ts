import type { StunnelTarget } from "../../../config/terminations.ts";
import type { Clock } from "../../../core/clock.ts";
import { AppError } from "../../../core/errors.ts";
import { fileStem } from "../../../store/layout.ts";
import {
  type Bundle,
  type Examined,
  type Failures,
  NO_FAILURES,
  type Pace,
  type Removal,
  type Target,
} from "../../target.ts";
import { expectations, latest, notServed, refusal, unfit } from "./batch.ts";
import { NodeFiles } from "./change.ts";
import { said, tryOut, tryWhole } from "./check.ts";
import { defaultsOf, globalValue } from "./configuration.ts";
import { examineStunnel } from "./examine.ts";
import { checkPems, type Layout, presentServices, readLayout } from "./layout.ts";
import { checkUser, hangUp, Log, runningStunnel } from "./process.ts";
import { mergeServices, renderServices, type Service } from "./services.ts";
import { type Endpoint, type Expected, isServed, reloaded, sample } from "./serving.ts";

export interface StunnelPorts {
  pace: Pace;
  /** Where handshakes go that tell what stunnel serves. */
  node: Endpoint;
  clock: Clock;
}

/** The live one, and what it reads. */
interface Live {
  pid: number;
  layout: Layout;
}

/** Gives a local stunnel its certificates: a service for each name in a file of ours, and one SIGHUP for a batch. */
export function createStunnelTarget(config: StunnelTarget, ports: StunnelPorts): Target {
  return new Stunnel(config, ports);
}

class Stunnel implements Target {
  readonly batch = 2_000;
  readonly gather = 2_000;
  readonly #config: StunnelTarget;
  readonly #ports: StunnelPorts;
  readonly #files: NodeFiles;

  constructor(config: StunnelTarget, ports: StunnelPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#files = new NodeFiles(config);
  }

  async rest(): Promise<number> {
    return await this.#ports.pace.rest(this.#config.reloadEvery);
  }

  async put(bundles: readonly Bundle[]): Promise<Failures> {
    if (bundles.length === 0) return NO_FAILURES;
    const live = await this.#live();
    const failures = new Map<string, AppError>();
    const sound = latest(bundles).filter((bundle) => {
      const why = unfit(bundle, live.layout.before);
      if (why !== undefined) failures.set(bundle.id, refusal(bundle, why));
      return why === undefined;
    });
    try {
      const given = await this.#tried(sound, live.layout, failures);
      if (given.length > 0) await this.#use(given, live);
      return failures;
    } finally {
      await this.#files.unstage();
    }
  }

  async remove(removals: readonly Removal[]): Promise<Failures> {
    if (removals.length === 0) return NO_FAILURES;
    const live = await this.#live();
    const ids = new Set(removals.map(({ id }) => id));
    const { present } = live.layout;
    const gone = present.filter(({ id }) => ids.has(id));
    const services = present.filter(({ id }) => !ids.has(id));
    await checkPems(services, this.#config.services);
    if (gone.length > 0 || (await this.#files.isPending())) {
      const expected = await Promise.all(sample(gone).map(notServed));
      await this.#apply(live, services, { ids: [], expected: expected.flat() });
    }
    await this.#discard(ids, live.layout, services, gone);
    return NO_FAILURES;
  }

  examine(): AsyncIterable<Examined> {
    return examineStunnel(this.#config);
  }

  /** The certificates of our services, each once. */
  async *present(): AsyncGenerator<string> {
    const services = await presentServices(this.#config);
    yield* new Set(services.map(({ id }) => fileStem(id)));
  }

  async close(): Promise<void> {}

  /** All that has to be so before anything is changed. */
  async #live(): Promise<Live> {
    const running = await runningStunnel(this.#config);
    checkUser(running);
    return { pid: running.pid, layout: await readLayout(this.#config) };
  }

  /** Those that stunnel has loaded on trial. */
  async #tried(
    bundles: readonly Bundle[],
    layout: Layout,
    failures: Map<string, AppError>,
  ): Promise<Bundle[]> {
    if (bundles.length === 0) return [];
    await this.#files.stage(bundles);
    const { program, master, connect } = this.#config;
    const trial = { program, master, connect, defaults: defaultsOf(layout.main), folder: this.#files.work };
    const candidates = bundles.map(({ id, names }) => ({
      id,
      name: names[0] ?? id,
      cert: this.#files.staged(id),
    }));
    const refused = await tryOut(trial, candidates);
    return bundles.filter((bundle) => {
      const words = refused.get(bundle.id);
      if (words !== undefined) failures.set(bundle.id, refusal(bundle, `stunnel does not load it: ${words}`));
      return words === undefined;
    });
  }

  /** Has those served that lie ready, and does nothing where they are served already. */
  async #use(given: readonly Bundle[], live: Live): Promise<void> {
    const { connect, services: path } = this.#config;
    const claims = given.map(({ id, names }) => ({ id, names, cert: this.#files.pem(id), connect }));
    const services = mergeServices(live.layout.present, claims);
    const ours = new Set(given.map(({ id }) => id));
    await checkPems(
      services.filter(({ id }) => !ours.has(id)),
      path,
    );
    const changed = await this.#changed(given);
    // What is new tells that a reload came about; where nothing is, what is there has to be served at least.
    const expected = sample(expectations(changed.length > 0 ? changed : given, services));
    const isDone =
      changed.length === 0 &&
      this.#text(services) === this.#text(live.layout.present) &&
      !(await this.#files.isPending()) &&
      (await isServed(this.#ports.node, expected));
    if (!isDone) await this.#apply(live, services, { ids: [...ours], expected });
  }

  async #changed(bundles: readonly Bundle[]): Promise<Bundle[]> {
    const changed: Bundle[] = [];
    for (const bundle of bundles) if (!(await this.#files.isCurrent(bundle))) changed.push(bundle);
    return changed;
  }

  /** Puts files into place and has stunnel read them; takes them back where it will not. */
  async #apply(
    { pid, layout }: Live,
    services: readonly Service[],
    { ids, expected }: { ids: readonly string[]; expected: readonly Expected[] },
  ): Promise<void> {
    const { node, clock } = this.#ports;
    await this.#files.replace(this.#text(services), ids, this.#text([]));
    const log = await Log.open(globalValue(layout.main, "output"));
    await this.#reload(pid);
    const outcome = await reloaded(node, expected, { log, services: services.length, clock });
    if (outcome === "taken") return await this.#files.settle();
    const words =
      log && log.words.length > 0
        ? said(log.words)
        : await tryWhole(this.#config.program, layout.main, services.length).catch(() => undefined);
    await this.#files.giveBack();
    // It may have been slow rather than unwilling: then it has to come back to what is on disk now.
    const again = await Log.open(globalValue(layout.main, "output"));
    await this.#reload(pid);
    // So that what it says of this is not taken for its word on the next batch.
    await reloaded(node, [], { log: again, services: layout.present.length, clock });
    await this.#discard(ids, layout, await presentServices(this.#config));
    throw new AppError(
      `stunnel did not take its new configuration, and the former one was put back. ${words === undefined ? `It gave no reason, and went on as before at ${node.address}:${node.port}` : `It says: ${words}`}. Mend that, and: certherd retry`,
      { code: "target_refused", disposition: "node" },
    );
  }

  /** Removes PEMs of these certificates that no service uses, ours or another's. */
  async #discard(
    ids: Iterable<string>,
    { foreign }: Layout,
    services: readonly Service[],
    gone: readonly Service[] = [],
  ): Promise<void> {
    const used = new Set([...foreign, ...services.map(({ cert }) => cert)]);
    const pems = new Set([...gone.map(({ cert }) => cert), ...[...ids].map((id) => this.#files.pem(id))]);
    await this.#files.discard([...pems].filter((path) => !used.has(path)));
  }

  async #reload(pid: number): Promise<void> {
    await this.#ports.pace.reloading();
    hangUp(pid, this.#config.pidFile);
  }

  #text(services: readonly Service[]): string {
    return renderServices(services, this.#config.master);
  }
}
