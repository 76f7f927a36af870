import { element, find } from "./dom";
import { bindKey } from "./keys";

/** What the way back does; it may fail, and then says why by itself. */
type Act = () => Promise<void>;

const line = (): HTMLElement | null => find("[data-undo-line]");

/** A line with words and an Undo button; it stays until it is used, another one comes, or the page is left. */
export function offerUndo(words: string, act: Act): void {
  line()?.remove();
  const button = element("button", { class: "button button-small", type: "button", "data-undo": "" }, "Undo ", element("kbd", { class: "no-phone" }, "Z"));
  const close = element("button", { class: "button button-small button-quiet", type: "button" }, "Close");
  const text = element("span", { role: "status" });
  const made = element("div", { class: "undo-line", "data-undo-line": "" }, text, button, close);
  document.body.append(made);
  // Words that were there when a live part came are not read out.
  text.textContent = words;
  close.addEventListener("click", () => made.remove());
  button.addEventListener("click", () => {
    button.setAttribute("aria-busy", "true");
    void act().finally(() => made.remove());
  });
}

/** `Z` presses the Undo button of the line that is shown, else that of the page's bar of changes (`undo_bar.ts`). */
export function setUpUndo(): void {
  bindKey("z", "Undo", () => find<HTMLButtonElement>("[data-undo]", line() ?? find("[data-undo-bar]") ?? document.createDocumentFragment())?.click());
}
