import type { Examined } from "../target.ts";

/** One thing looked at: what `look` tells is well, what it throws is not. */
export async function examined(what: string, look: () => Promise<string>): Promise<Examined> {
  try {
    return { what, ok: true, detail: await look() };
  } catch (error) {
    return { what, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}
