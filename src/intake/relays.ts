import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Clock } from "../core/clock.ts";
import { Gate } from "../core/flow.ts";
import { checkHost } from "../core/names.ts";
import type { RelayPolicy } from "../core/relays.ts";
import type { RelayGuard } from "./columns.ts";

export type Resolve = (host: string) => Promise<readonly string[]>;

/** Names looked up for one chunk of rows, and milliseconds for all of them. What is left is looked at before a mail. */
const MOST = 100;
const TIME = 3_000;
/** The system's own look-up takes a thread each, of which the disk needs some too. */
const AT_ONCE = 2;
/** Milliseconds that an answer is good for, and names that are remembered. */
const FRESH = 60_000;
const REMEMBERED = 1_000;

/** As connecting to a host would find them. */
export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/**
 * Looks at relays that come over HTTP, where the rows are taken in: whoever may ask for certificates is not to have
 * this host connect to what only it can reach. DNS may change, so that they are looked at again before each mail; a
 * name that cannot be looked up now is left to that.
 */
export class CallersRelays implements RelayGuard {
  readonly #policy: RelayPolicy;
  readonly #clock: Clock;
  readonly #resolve: Resolve;
  readonly #gate = new Gate(AT_ONCE);
  readonly #known = new Map<string, { until: number; addresses: readonly string[] }>();

  constructor(policy: RelayPolicy, clock: Clock, resolve: Resolve = systemResolve) {
    this.#policy = policy;
    this.#clock = clock;
    this.#resolve = resolve;
  }

  async prepare(relays: Iterable<string>): Promise<void> {
    const now = this.#clock.now();
    const unknown = [...new Set(relays)].flatMap((cell) => {
      const checked = checkHost(cell);
      return checked.ok && now >= (this.#known.get(checked.host)?.until ?? 0) ? [checked.host] : [];
    });
    if (unknown.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    let late = false;
    const end = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        late = true;
        resolve();
      }, TIME);
    });
    const looks = unknown.slice(0, MOST).map((relay) =>
      this.#gate.run(async () => {
        if (!late) this.#remember(relay, await this.#resolve(relay).catch(() => []));
      }),
    );
    await Promise.race([Promise.all(looks), end]);
    clearTimeout(timer);
  }

  fault(relay: string, port: number): string | undefined {
    const known = this.#known.get(relay.toLowerCase());
    return this.#policy.faultOf(relay, port, isIP(relay) === 0 ? (known?.addresses ?? []) : [relay]);
  }

  #remember(relay: string, addresses: readonly string[]): void {
    this.#known.delete(relay);
    this.#known.set(relay, { until: this.#clock.now() + FRESH, addresses });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(oldest);
    }
  }
}
