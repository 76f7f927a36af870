// Faults of a page's layout that can be measured; answers one sentence for each.
() => {
  const faults = [];
  const isSeen = (element) => {
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    return box.width > 1 && box.height > 1 && style.visibility !== "hidden" && style.clipPath === "none" && !element.closest("dialog:not([open])");
  };
  const words = (element) => `<${element.localName} class="${element.className?.baseVal ?? element.className}"> “${(element.textContent ?? "").trim().replace(/\s+/g, " ").slice(0, 40)}”`;

  if (document.documentElement.scrollWidth > innerWidth) faults.push(`the page is ${document.documentElement.scrollWidth} px wide in a window of ${innerWidth}`);
  for (const popover of document.querySelectorAll("[popover]")) {
    if (popover.matches(":popover-open") || getComputedStyle(popover).display !== "none") faults.push(`a popover is open: ${words(popover)}`);
  }

  // Main parts use the width they have, and none lies over the next.
  const main = document.querySelector("main");
  const inner = main.clientWidth - parseFloat(getComputedStyle(main).paddingLeft) * 2;
  const parts = [...main.children].filter((part) => isSeen(part) && getComputedStyle(part).position !== "fixed");
  for (const part of parts) {
    const box = part.getBoundingClientRect();
    if (!part.matches("p, a, button, form:not(.card)") && box.width < 0.55 * inner) faults.push(`${Math.round(box.width)} of ${Math.round(inner)} px wide: ${words(part)}`);
    if (box.right > innerWidth + 1 || box.left < -1) faults.push(`out of the window: ${words(part)}`);
  }
  parts.slice(1).forEach((part, index) => {
    const before = parts[index].getBoundingClientRect();
    if (part.getBoundingClientRect().top < before.bottom - 1) faults.push(`lies over what is before it: ${words(part)}`);
  });

  // Nothing is cut without a sign: words in buttons, headings, cells.
  for (const element of document.querySelectorAll("main :is(button, .button, .badge, h1, h2, h3, th, td, p, dt, dd, label, legend)")) {
    if (!isSeen(element) || element.closest("details:not([open]) > :not(summary)")) continue;
    const style = getComputedStyle(element);
    if (element.scrollWidth > element.clientWidth + 2 && style.display !== "inline" && style.overflowX !== "visible" && style.textOverflow !== "ellipsis") faults.push(`cut: ${words(element)}`);
    if (style.overflowX === "visible" && style.display !== "inline" && element.scrollWidth > element.clientWidth + 8 && element.matches("button, .button, .badge, h1, h2, h3")) {
      faults.push(`${element.scrollWidth - element.clientWidth} px too long: ${words(element)}`);
    }
  }

  // Whatever can be pressed can be reached: nothing else lies over its middle.
  scrollTo(0, 0);
  for (const element of document.querySelectorAll("header :is(a, button, summary), main :is(a, button, summary, select, input:not([type=file], [type=hidden]))")) {
    if (!isSeen(element) || element.disabled || document.querySelector("dialog[open]") || element.closest("details:not([open]) > :not(summary)")) continue;
    const box = element.getClientRects()[0];
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
    const hit = document.elementFromPoint(x, y);
    if (!hit || element.contains(hit) || hit.contains(element) || hit.closest("label")?.contains(element)) continue;
    const over = hit.closest("a, button, summary, input, select, .menu-sheet, .page-primary, .bar");
    // A bar that stays at the edge of the window lies over whatever scrolls beneath it: that is reached by scrolling.
    const stays = (part) => part !== null && part !== document.body && (["sticky", "fixed"].includes(getComputedStyle(part).position) || stays(part.parentElement));
    if (over && !stays(over)) faults.push(`${words(over)} lies over ${words(element)}`);
  }
  return faults;
}
