import htmx from "htmx.org";
import { announce, find } from "./lib/dom";
import { watchConnection } from "./lib/connection";
import { openDialog, setUpDialogs } from "./lib/dialogs";
import { address, csrfToken } from "./lib/http";
import { setUpKeptForms } from "./lib/kept_forms";
import { bindKey, setUpKeySwitch } from "./lib/keys";
import { setUpPill } from "./lib/pill";
import { setUpSearch } from "./lib/search";
import { setUpTheme } from "./lib/theme";
import { setUpUndo } from "./lib/undo";

/** Every unsafe request of ours carries the token that proves it comes from our own page. */
function sendCsrfToken(event: Event): void {
  const { ctx } = (event as CustomEvent<{ ctx: { request: { headers: Record<string, string> } } }>).detail;
  ctx.request.headers["X-CSRF-Token"] = csrfToken();
}

/** `data-copies` puts its value on the clipboard; where that is barred (plain http) the text is selected instead. */
async function copy(button: HTMLElement): Promise<void> {
  const text = button.dataset["copies"] ?? "";
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    announce("Copied.");
    return;
  }
  const shown = button.closest("[data-copy-of]")?.querySelector("code, pre");
  if (shown) getSelection()?.selectAllChildren(shown);
  announce("Selected. Press Ctrl+C to copy.");
}

/** Words that came with the page are no news to a screen reader until they change; and they go like all others. */
function repeatWords(): void {
  const words = find("[data-status]")?.textContent?.trim();
  if (words) window.setTimeout(() => announce(words), 100);
}

/** `#delete` at the end of an address opens that dialog. */
function openNamedInAddress(): void {
  if (!/^#[a-z]+$/.test(location.hash)) return;
  openDialog(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
}

function start(): void {
  document.addEventListener("htmx:config:request", sendCsrfToken);
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-copies]") : null;
    if (button) void copy(button);
  });
  // A second press of a button that starts something must not start it twice.
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (form.method === "dialog") return;
    if (event.defaultPrevented) return;
    // The button may stand outside its form, and a key may press it.
    const pressed = event.submitter ?? [...form.elements].find((element) => element.matches("button[data-once]"));
    if (pressed?.matches("[data-once]")) pressed.setAttribute("aria-busy", "true");
  });
  watchConnection();
  setUpKeptForms();
  setUpDialogs();
  setUpTheme();
  setUpKeySwitch();
  setUpPill();
  setUpSearch();
  setUpUndo();
  openNamedInAddress();
  repeatWords();
  bindKey("Shift+?", "This list", () => openDialog("keys"));
  bindKey("g d", "Datasets", () => location.assign(address("/")));
  bindKey("g r", "Runs", () => location.assign(address("/runs")));
  const primary = find<HTMLElement>(".page-primary .button-primary, .next-bar .button-primary");
  if (primary) bindKey("g n", primary.textContent?.trim() ?? "Next step", () => primary.click());
}

start();
export { htmx };
