import { all, find } from "./dom";

export function openDialog(name: string): void {
  const dialog = find<HTMLDialogElement>(`dialog[data-dialog="${CSS.escape(name)}"]`);
  if (!dialog) return;
  dialog.showModal();
}

/** `data-opens="name"` opens a dialog, `data-closes` closes it. */
export function setUpDialogs(): void {
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const opener = target?.closest<HTMLElement>("[data-opens]");
    if (opener instanceof HTMLAnchorElement) event.preventDefault();
    if (opener) openDialog(opener.dataset["opens"] ?? "");
    target?.closest("[data-closes]")?.closest("dialog")?.close();
    if (target instanceof HTMLDialogElement) target.close();
    if (!target?.closest("[data-menu]") || opener) all<HTMLDetailsElement>("[data-menu][open]").forEach((menu) => (menu.open = false));
  });
  document.addEventListener("keydown", (event) => {
    const menu = find<HTMLDetailsElement>("[data-menu][open]");
    if (event.key !== "Escape" || !menu) return;
    event.preventDefault();
    menu.open = false;
    find("summary", menu)?.focus();
  });
}
