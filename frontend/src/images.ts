import { all } from "./lib/dom";

/** Keys of one picture's page: arrows to those before and after it, Escape to their list, Delete to the bin. */
const controls = all("[data-key]");
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
  if (event.target instanceof Element && event.target.closest("input, select, textarea")) return;
  controls.find((control) => control.dataset["key"] === event.key)?.click();
});
