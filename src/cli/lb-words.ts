import { plain } from "./output.ts";

/** The original's words, spelled right. */
export function success(name: string): string {
  return `Successfully issued and uploaded new cert ${name}, finished`;
}

export function notServed(name: string, detail: string): string {
  return `Issued certificate for ${name}, but it is not served. (${plain(detail)})`;
}

export function failure(name: string, detail: string): string {
  return `Failed to issue certificate for ${name}, check external access on port 80 and that DNS has been configured. (${plain(detail)})`;
}

export function removed(name: string): string {
  return `Successfully removed cert ${name}, finished`;
}

export function overtaken(name: string): string {
  return `Failed to remove cert ${name}: it was asked for again in between`;
}

export function notYetRemoved(name: string, nodes: readonly string[]): string {
  return `Removed cert ${name}, still to be taken away from ${nodes.join(", ")}`;
}
