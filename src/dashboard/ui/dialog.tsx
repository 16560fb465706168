import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A question that has to be answered first. Escape and the backdrop mean no. */
export function Dialog({
  title,
  onClose,
  children,
  actions,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  actions: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const { current } = dialog;
    // Opened so, the browser keeps the focus inside and gives it back afterwards.
    if (current && !current.open) current.showModal();
    return () => current?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="dialog-title"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <div class="stack">
        <h2 id="dialog-title">{title}</h2>
        {children}
        <div class="row dialog-actions">{actions}</div>
      </div>
    </dialog>
  );
}
