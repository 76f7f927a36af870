import { need } from "./lib/dom";

/** The key is hidden from others' eyes; a press shows it, to compare it with what was copied. */
const button = need<HTMLButtonElement>("[data-reveals]");
const input = need<HTMLInputElement>(`#${button.dataset["reveals"] ?? ""}`);
button.hidden = false;
button.addEventListener("click", () => {
  const isShown = input.type === "text";
  input.type = isShown ? "password" : "text";
  button.textContent = isShown ? "Show key" : "Hide key";
  input.focus();
});
