import { isIP, SocketAddress } from "node:net";
import { networkInterfaces } from "node:os";
import type { Service } from "./service.ts";

/** Milliseconds between two looks. */
const EVERY = 2_000;

/** Whether an address stands on one of this host's interfaces that are up. All of 127.0.0.0/8 does. */
export function isLocal(address: string): boolean {
  if (address === "localhost") return true;
  const wanted = canonical(address);
  if (wanted === undefined) return false;
  if (isIP(wanted) === 4 && wanted.startsWith("127.")) return true;
  return Object.values(networkInterfaces()).some((interfaces) =>
    interfaces?.some((each) => canonical(each.address) === wanted),
  );
}

/** One spelling for each address (RFC 5952), without a zone; an IPv4-mapped one as IPv4. */
function canonical(text: string): string | undefined {
  const address = text.replace(/%.*$/, "");
  const family = isIP(address);
  if (family === 0) return undefined;
  const one = new SocketAddress({ address, family: family === 4 ? "ipv4" : "ipv6" }).address;
  return /^::ffff:(\d+(?:\.\d+){3})$/.exec(one)?.[1] ?? one;
}

export interface ActivityOptions {
  /** This host is active while it has this address; always, where none is given. */
  address?: string;
  /** Milliseconds between two looks. */
  every?: number;
  /** In place of a look at the interfaces. */
  look?: () => boolean;
  /** Never called twice at once; of changes that come while it is busy, the last one counts. */
  onChange(active: boolean): Promise<void>;
  /** What a look, or `onChange` at a later change, throws. It is told the same again at the next look. */
  onError?: (error: unknown) => void;
}

/**
 * Tells whether this host is the active one, at once and at each change, until it is closed. Resolves after the first
 * `onChange`, and rejects with what that throws. `close()` waits for the one that is busy.
 */
export async function watchActivity(options: ActivityOptions): Promise<Service> {
  const { address, every = EVERY, onChange, onError } = options;
  const look = options.look ?? (() => address === undefined || isLocal(address));
  let wanted = look();
  await onChange(wanted);
  let told: boolean | undefined = wanted;
  let isClosed = false;
  let busy: Promise<void> | undefined;

  const settle = async (): Promise<void> => {
    while (!isClosed && told !== wanted) {
      const next = wanted;
      // After a failure it is not known in which state it was left.
      told = undefined;
      await onChange(next);
      told = next;
    }
  };
  const turn = (): void => {
    try {
      wanted = look();
    } catch (error) {
      onError?.(error);
    }
    busy ??= settle()
      .catch((error: unknown) => onError?.(error))
      .finally(() => {
        busy = undefined;
      });
  };
  const timer = setInterval(turn, every);
  return {
    async close() {
      isClosed = true;
      clearInterval(timer);
      await busy;
    },
  };
}
