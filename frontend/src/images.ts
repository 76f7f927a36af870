import { all, find } from "./lib/dom";
import { openDialog } from "./lib/dialogs";
import { counted } from "./lib/format";

/** Pictures with a box each: shift selects a range, Delete asks whether those that are ticked shall go. */
function setUpSelection(form: HTMLFormElement): void {
  const boxes = all<HTMLInputElement>("input[name=ids]", form);
  const remove = find<HTMLButtonElement>("[data-delete-selected]", form);
  let last = -1;

  const draw = (): void => {
    const chosen = boxes.filter((box) => box.checked).length;
    const words = find("[data-selected]", form);
    if (words) words.textContent = chosen ? `${counted(chosen, "picture")} selected` : "Tick pictures to delete them";
    const count = find("[data-selected-count]", form);
    if (count) count.textContent = counted(chosen, "picture");
    if (remove) remove.disabled = chosen === 0;
    const every = find("[data-select-all]", form);
    if (every) every.textContent = chosen === boxes.length ? "Select none" : "Select all on this page";
  };
  form.addEventListener("click", (event) => {
    const index = boxes.indexOf(event.target as HTMLInputElement);
    if (index < 0) return;
    if (event.shiftKey && last >= 0) {
      for (const box of boxes.slice(Math.min(index, last), Math.max(index, last))) box.checked = boxes[index]?.checked ?? false;
    }
    last = index;
    draw();
  });
  form.addEventListener("change", draw);
  find("[data-select-all]", form)?.addEventListener("click", () => {
    const isAll = boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = !isAll;
    draw();
  });
  const ask = (event: Event): void => {
    event.preventDefault();
    if (boxes.some((box) => box.checked)) openDialog("delete-images");
  };
  remove?.addEventListener("click", ask);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Delete" && !document.querySelector("dialog[open]")) ask(event);
  });
  draw();
}

/** The arrows lead to the picture before and after. */
function setUpArrows(links: HTMLAnchorElement[]): void {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    links.find((link) => link.dataset["key"] === event.key)?.click();
  });
}

const form = find<HTMLFormElement>("[data-selection]");
if (form) setUpSelection(form);
setUpArrows(all<HTMLAnchorElement>("a[data-key]"));
