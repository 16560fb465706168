/** Builds the dashboard into dist/dashboard, with a compressed copy beside each file for whoever takes one. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const root = fileURLToPath(new URL(".", import.meta.url));
const outDir = fileURLToPath(new URL("../../dist/dashboard", import.meta.url));
/** Bytes: below that a compressed copy is not worth its file. */
const WORTH_IT = 1_024;

const compress: Plugin = {
  name: "compress",
  apply: "build",
  closeBundle() {
    for (const { name, parentPath } of readdirSync(outDir, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && /\.(js|css|html|svg)$/.test(entry.name),
    )) {
      const path = join(parentPath, name);
      const text = readFileSync(path);
      if (text.length < WORTH_IT) continue;
      writeFileSync(`${path}.br`, brotliCompressSync(text));
      writeFileSync(`${path}.gz`, gzipSync(text, { level: 9 }));
    }
  },
};

export default defineConfig({
  root,
  base: "/",
  logLevel: "warn",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir,
    emptyOutDir: true,
    target: "es2022",
    // Pages forbid inline scripts and data: is for images alone.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  plugins: [compress],
});
