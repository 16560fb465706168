import type { BulkAction } from "../data/certificates.ts";
import { useMayDo } from "../data/session.tsx";
import { ACTIONS } from "./words.ts";

interface ButtonsProps {
  /** Of those that whoever is signed in may do; all of them where it is left out. */
  fits?: (action: BulkAction) => boolean;
  onChoose: (action: BulkAction) => void;
}

/** What may be done about certificates, to choose from. */
export function ActionButtons({ fits = () => true, onChoose }: ButtonsProps) {
  const isAdmin = useMayDo("admin");
  return (Object.keys(ACTIONS) as BulkAction[])
    .filter((action) => (isAdmin || ACTIONS[action].scope === "enqueue") && fits(action))
    .map((action) => (
      <button
        key={action}
        type="button"
        class={`button ${ACTIONS[action].danger ? "danger" : ""}`}
        onClick={() => onChoose(action)}
      >
        {ACTIONS[action].label}
      </button>
    ));
}
