import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "./stage.ts";

const SOURCES = ["src", "workers", "package.json", "tsconfig.json", "tsconfig.build.json"];
/** What `npm run build` writes last. */
const LAST = "dist/dashboard/index.html";

/** Whether nothing has changed since the last build, as after `npm ci`, which builds. */
export function isBuilt(): boolean {
  const built = statSync(join(PROJECT, LAST), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return SOURCES.every((source) => newest(join(PROJECT, source)) < built);
}

function newest(path: string): number {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  // A folder's own time tells of what was taken out of it.
  return Math.max(mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}
