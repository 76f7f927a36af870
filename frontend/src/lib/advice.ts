import htmx from "htmx.org";
import { find } from "./dom";
import { request } from "./http";

const AGAIN_MS = 2000;

/** Show what would help most; asked for again while it is being computed. */
export async function showAdvice(): Promise<void> {
  const section = find("[data-advice-url]");
  if (!section) return;
  const response = await request(section.dataset["adviceUrl"] ?? "", { headers: { Accept: "text/html" } }).catch(() => null);
  if (!response?.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").querySelector("[data-advice]");
  if (!fresh) return;
  section.hidden = false;
  await htmx.swap({ text: fresh.outerHTML, target: section.querySelector("[data-advice]") ?? section, swap: "outerMorph" });
  if (fresh.hasAttribute("data-more")) window.setTimeout(() => void showAdvice(), AGAIN_MS);
}
