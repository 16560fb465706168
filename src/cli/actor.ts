import { userInfo } from "node:os";

/** Who gives this command, for the audit log: the user of the operating system. */
export function actor(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    // A container's user may have no name.
    return `cli:${process.getuid?.() ?? "?"}`;
  }
}
