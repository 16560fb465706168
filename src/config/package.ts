import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

interface Package {
  folder: string;
  version: string;
}

/** Where the package lies, above both src/ and dist/src/, and its version. */
export function ownPackage(): Package | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      if (name === "certherd") return { folder, version: String(version) };
    } catch {
      // Not here: one further up.
    }
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
}

/** The version in package.json. */
export function version(): string {
  return ownPackage()?.version ?? "unknown";
}

/** Where `npm run build` puts the web pages. */
export function dashboardFolder(): string {
  return join(ownPackage()?.folder ?? ".", "dist", "dashboard");
}
