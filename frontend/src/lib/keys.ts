import { tinykeys } from "tinykeys";
import { element, find } from "./dom";

const STORE = "tellapart-keys-off";

const inTextField = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]") !== null;

/** Whether single letters may act; they can be switched off in the key sheet. */
export const lettersAct = (): boolean => localStorage.getItem(STORE) === null;

/** Bind a key and print it in the sheet. Letters act only when no text field has focus. */
export function bindKey(keys: string, words: string, act: (event: KeyboardEvent) => void): void {
  // The library's own rule also passes over a chosen radio button, on which a letter says nothing else.
  const ignore = (event: KeyboardEvent): boolean => event.repeat || event.isComposing || inTextField(event.target);
  const isLetter = !keys.startsWith("Control+");
  tinykeys(window, { [keys]: (event: KeyboardEvent) => void ((lettersAct() || !isLetter) && act(event)) }, { ignore });
  const shown = keys.replace(/\[?Shift\]?\+/, "").replace("Control+", "Ctrl+").split(" ");
  const caps = element("dt", {}, ...shown.map((key) => element("kbd", {}, key)));
  find("[data-key-list]")?.append(caps, element("dd", {}, words));
}

/**
 * Keys of a page on which letters decide about pictures. They come before all others, because a letter may mean a class
 * here that is something else on other pages. A key that is held down would decide about everything, so it acts once.
 */
export function decideByKeys(actionOf: (event: KeyboardEvent, target: Element | null) => (() => void) | null): void {
  const act = (event: KeyboardEvent): void => {
    const target = event.target instanceof Element ? event.target : null;
    if (event.altKey || event.isComposing || target?.closest("input, textarea, select, dialog, [contenteditable]")) return;
    const action = actionOf(event, target);
    if (!action || (event.key.length === 1 && !event.ctrlKey && !lettersAct())) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat) action();
  };
  document.addEventListener("keydown", act, true);
}

export function setUpKeySwitch(): void {
  const box = find<HTMLInputElement>("[data-keys-on]");
  if (!box) return;
  box.checked = lettersAct();
  box.addEventListener("change", () => (box.checked ? localStorage.removeItem(STORE) : localStorage.setItem(STORE, "1")));
}
