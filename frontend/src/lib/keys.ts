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

export function setUpKeySwitch(): void {
  const box = find<HTMLInputElement>("[data-keys-on]");
  if (!box) return;
  box.checked = lettersAct();
  box.addEventListener("change", () => (box.checked ? localStorage.removeItem(STORE) : localStorage.setItem(STORE, "1")));
}
