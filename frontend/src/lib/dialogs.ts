import { all, find } from "./dom";

function open(name: string): void {
  find<HTMLDialogElement>(`dialog[data-dialog="${CSS.escape(name)}"]`)?.showModal();
}

export const openDialog = open;

/** `data-opens="name"` opens a dialog, `data-closes` closes it; `data-typed="name"` frees a button once it is typed. */
export function setUpDialogs(): void {
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const opener = target?.closest<HTMLElement>("[data-opens]");
    if (opener) open(opener.dataset["opens"] ?? "");
    target?.closest("[data-closes]")?.closest("dialog")?.close();
    if (target instanceof HTMLDialogElement) target.close();
    if (!target?.closest("[data-menu]") || opener) all<HTMLDetailsElement>("[data-menu][open]").forEach((menu) => (menu.open = false));
  });
  document.addEventListener("keydown", (event) => {
    const menu = find<HTMLDetailsElement>("[data-menu][open]");
    if (event.key !== "Escape" || !menu) return;
    menu.open = false;
    find("summary", menu)?.focus();
  });
  for (const input of all<HTMLInputElement>("input[data-typed]")) {
    const button = input.form?.querySelector<HTMLButtonElement>("button[data-needs-typed]");
    if (!button) continue;
    const check = (): boolean => (button.disabled = input.value.trim() !== input.dataset["typed"]?.trim());
    input.addEventListener("input", check);
    check();
  }
}
