import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Session } from "../../api/schemas/session.ts";
import { send, signIn } from "./ask.ts";

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session | undefined {
  return useContext(SessionContext);
}

/** Whether whoever is signed in may do what needs this scope. */
export function useMayDo(scope: "read" | "enqueue" | "admin"): boolean {
  const scopes = useSession()?.scopes ?? [];
  return scopes.includes("admin") || scopes.includes(scope);
}

export async function signOut(): Promise<void> {
  await send("/v1/session", { method: "DELETE" }).catch(() => undefined);
  signIn();
}
