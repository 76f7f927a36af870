import htmx from "htmx.org";
import { find } from "./dom";
import { request } from "./http";

const AGAIN_MS = 3000;

/** Show how well a first model would do; asked for again while pictures are still being looked at. */
export async function showFirstGuess(): Promise<void> {
  const section = find("[data-guess-url]");
  if (!section) return;
  const response = await request(section.dataset["guessUrl"] ?? "", { headers: { Accept: "text/html" } }).catch(() => null);
  if (!response?.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("[data-guess]");
  if (!fresh) return;
  section.hidden = fresh.childElementCount === 0;
  await htmx.swap({ text: fresh.outerHTML, target: section, swap: "innerMorph" });
  if (fresh.hasAttribute("data-more")) window.setTimeout(() => void showFirstGuess(), AGAIN_MS);
}
