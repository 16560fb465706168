import { readFile } from "node:fs/promises";
import { AppError } from "../../core/errors.ts";

/** Numbers of a user and a group; undefined for "as it comes". */
export interface Ownership {
  uid: number | undefined;
  gid: number | undefined;
}

/** Names, or numbers, as numbers. Throws `node_misconfigured` for a name that this host does not know. */
export async function ownership(owner: string | undefined, group: string | undefined): Promise<Ownership> {
  return { uid: await numberOf(owner, "user"), gid: await numberOf(group, "group") };
}

/** passwd(5) and group(5) both have the name first, and the number third. */
async function numberOf(name: string | undefined, what: "user" | "group"): Promise<number | undefined> {
  if (name === undefined) return undefined;
  if (/^\d+$/.test(name)) return Number(name);
  const path = what === "user" ? "/etc/passwd" : "/etc/group";
  const text = await readFile(path, "utf8").catch(() => "");
  const fields = text.split("\n").map((line) => line.split(":"));
  const number = fields.find(([first]) => first === name)?.[2];
  if (number !== undefined && /^\d+$/.test(number)) return Number(number);
  throw misconfigured(
    `The ${what} ${name} is not in ${path}. Make it, or give a number if it comes from elsewhere.`,
  );
}

/** Throws `node_misconfigured` where this user may not give files to that one. */
export function checkMayGive({ uid }: Ownership, owner: string | undefined): void {
  const ours = process.geteuid?.();
  if (uid !== undefined && ours !== undefined && ours !== 0 && ours !== uid)
    throw misconfigured(
      `Only root can give files to ${owner}, and this process runs as user ${ours}. Run the role "deploy" as root or as ${owner}, or leave owner out.`,
    );
}

export function misconfigured(message: string, cause?: unknown): AppError {
  return new AppError(message, { code: "node_misconfigured", disposition: "node", cause });
}
