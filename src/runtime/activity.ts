import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

/** Milliseconds between two looks. */
const EVERY = 2_000;

export interface ActivityOptions {
  /** Always active without one. */
  address?: string;
  every?: number;
  /** Whether this host is active now; whether the address is local when left out. */
  look?: () => boolean;
  onChange(active: boolean): Promise<void>;
}

/** Whether an interface of this host has the address. */
export function isLocal(address: string): boolean {
  if (address === "localhost") return true;
  const wanted = canonical(address);
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .some((each) => canonical(each.address) === wanted);
}

/** IPv6 has many spellings of one address (RFC 5952). */
function canonical(address: string): string {
  const [bare = ""] = address.split("%");
  return isIPv6(bare) ? new URL(`http://[${bare}]`).hostname : bare;
}

/**
 * Tells the present state first, and then each change of it; never two at once, and of what changes meanwhile the last
 * state only.
 */
export async function watchActivity(options: ActivityOptions): Promise<{ close(): Promise<void> }> {
  const { address, every = EVERY, onChange } = options;
  const look = options.look ?? ((): boolean => address === undefined || isLocal(address));
  let told = look();
  await onChange(told);
  let turn: Promise<void> | undefined;
  const timer = setInterval(() => {
    turn ??= (async () => {
      for (let now = look(); now !== told; now = look()) {
        told = now;
        await onChange(now);
      }
    })()
      // What has failed is begun again at the next look.
      .catch(() => {
        told = !told;
      })
      .finally(() => {
        turn = undefined;
      });
  }, every);
  return {
    close: async () => {
      clearInterval(timer);
      await turn;
    },
  };
}
