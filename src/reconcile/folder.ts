import { closeSync, fstatSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { certificateId } from "../core/certificate.ts";
import { isCode } from "../store/atomic.ts";
import { type CertificateFile, fileStem, setPaths } from "../store/layout.ts";
import { nextIn, previousIn } from "../store/placing.ts";
import { derOf, isKeyOf, isSameSerial, serialOf } from "./fits.ts";

/** Milliseconds after which what a process has made for itself is left over: one that lives is done long before. */
const LEFT_OVER = 600_000;
const OTHERS = 0o077;

export type SetFault = "key_missing" | "key_unfit" | "leaf_missing" | "leaf_damaged" | "other_leaf";

/** What one certificate's folder holds. */
export interface Seen {
  folder: string;
  stem: string;
  /** Everything in it, without what is in its subfolders. */
  names: ReadonlySet<string>;
  /** `certificate.json`; that of `.next` where a whole set waits there to be moved. */
  file: CertificateFile | "missing" | "damaged";
  /** Milliseconds since that was written. */
  age: number;
  /** A whole set waits in `.next`. */
  staged: boolean;
  /** Milliseconds since `.next` was touched, where an order is in hand, or was. */
  pendingFor?: number;
  /** Serial of the `.cer`. */
  serial?: string;
  fault?: SetFault;
  /** Files of the chain that can be made from the others. */
  lacks: ("ca" | "fullchain")[];
  /** Paths to be removed. */
  leftovers: string[];
  /** Paths of keys that others could read. */
  open: string[];
}

/**
 * Looks into one folder and changes nothing. Synchronous, as 100,000 of them are looked at one after the other and each
 * takes some tenths of a millisecond. Throws what the disk throws, but for what is gone.
 */
export function examine(root: string, stem: string, now: number): Seen {
  const folder = join(root, stem);
  const names = new Set(readdirSync(folder));
  const seen: Seen = {
    folder,
    stem,
    names,
    file: "missing",
    age: 0,
    staged: false,
    lacks: [],
    leftovers: [],
    open: [],
  };
  for (const name of names)
    if (isMaking(name) && ageOf(join(folder, name), now) > LEFT_OVER) seen.leftovers.push(join(folder, name));
  if (names.has(".next")) lookAtNext(seen, now);
  if (names.has("previous")) {
    const { key } = setPaths(previousIn(folder), stem);
    if (isOpen(key)) seen.open.push(key);
  }
  const json = seen.staged ? join(nextIn(folder), "certificate.json") : join(folder, "certificate.json");
  const described = seen.staged || names.has("certificate.json") ? withStats(json) : undefined;
  seen.file = parsed(described?.text);
  if (described) seen.age = now - described.mtime;
  lookAtSet(seen);
  return seen;
}

/** `.previous-…`, which a set is made in, and `.tmp-…`, which a file is. */
function isMaking(name: string): boolean {
  return name.startsWith(".previous-") || name.startsWith(".tmp-");
}

function lookAtNext(seen: Seen, now: number): void {
  const next = nextIn(seen.folder);
  const names = list(next);
  seen.staged = names.includes("certificate.json");
  seen.pendingFor = ageOf(next, now);
  const key = join(next, "key.pem");
  if (names.includes("key.pem") && isOpen(key)) seen.open.push(key);
  for (const name of names)
    if (isMaking(name) && ageOf(join(next, name), now) > LEFT_OVER) seen.leftovers.push(join(next, name));
}

function lookAtSet(seen: Seen): void {
  const { folder, stem, names, file } = seen;
  const paths = setPaths(folder, stem);
  const key = names.has(`${stem}.key`) ? withStats(paths.key) : undefined;
  if (key && (key.mode & OTHERS) !== 0) seen.open.push(paths.key);
  const pem = names.has(`${stem}.cer`) ? text(paths.cert) : undefined;
  const leaf = pem === undefined ? undefined : derOf(pem);
  const serial = leaf && serialOf(leaf);
  if (serial !== undefined) seen.serial = serial;
  // What is still to be moved is not as it will be.
  if (seen.staged || typeof file === "string" || file.leaf === undefined) return;
  if (pem === undefined) seen.fault = "leaf_missing";
  else if (leaf === undefined || serial === undefined) seen.fault = "leaf_damaged";
  else if (!isSameSerial(serial, file.leaf.serial)) seen.fault = "other_leaf";
  else if (key === undefined) seen.fault = "key_missing";
  else if (!isKeyOf(leaf, key.text)) seen.fault = "key_unfit";
  if (seen.fault !== undefined) return;
  const [ca, fullchain] = [names.has("ca.cer"), names.has("fullchain.cer")];
  if (!ca && fullchain) seen.lacks.push("ca");
  if (ca && !fullchain) seen.lacks.push("fullchain");
  if (!ca && !fullchain) seen.fault = "leaf_missing";
}

/** What an index is rebuilt from has to be whole. */
function parsed(json: string | undefined): Seen["file"] {
  if (json === undefined) return "missing";
  try {
    const file = JSON.parse(json) as CertificateFile;
    const isWhole =
      typeof file.name === "string" &&
      Array.isArray(file.spec?.names) &&
      file.spec.names.length > 0 &&
      typeof file.status === "string" &&
      Number.isInteger(file.generation) &&
      typeof file.acceptedAt === "number" &&
      (file.leaf === undefined ||
        (typeof file.leaf.serial === "string" && typeof file.leaf.renewAt === "number"));
    return isWhole ? file : "damaged";
  } catch {
    return "damaged";
  }
}

/** Whose certificate's folder it is; undefined where its name does not tell so. */
export function ownerOf({ file, stem }: Seen): string | undefined {
  if (typeof file === "string") return stem;
  const id = certificateId(file.name);
  return fileStem(id) === stem ? id : undefined;
}

function list(folder: string): string[] {
  return ifThere(() => readdirSync(folder)) ?? [];
}

function text(path: string): string | undefined {
  return ifThere(() => readFileSync(path, "utf8"));
}

/** One opening for all of it. */
function withStats(path: string): { text: string; mode: number; mtime: number } | undefined {
  return ifThere(() => {
    const handle = openSync(path, "r");
    try {
      const { mode, mtimeMs } = fstatSync(handle);
      return { mode, mtime: mtimeMs, text: readFileSync(handle, "utf8") };
    } finally {
      closeSync(handle);
    }
  });
}

function isOpen(path: string): boolean {
  const mode = ifThere(() => statSync(path).mode);
  return mode !== undefined && (mode & OTHERS) !== 0;
}

function ageOf(path: string, now: number): number {
  return ifThere(() => now - statSync(path).mtimeMs) ?? 0;
}

function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}
