import { all, find, need } from "./lib/dom";

/** A gallery is one tab stop; arrows move in it; Enter or a click shows a picture large. */
function setUpGallery(gallery: HTMLElement): void {
  const links = all<HTMLAnchorElement>("[data-view]", gallery);
  const viewer = find<HTMLDialogElement>("[data-viewer]");
  links.forEach((link, place) => (link.tabIndex = place ? -1 : 0));

  const columns = (): number => {
    const top = links[0]?.getBoundingClientRect().top;
    return Math.max(1, links.filter((link) => link.getBoundingClientRect().top === top).length);
  };
  gallery.addEventListener("keydown", (event) => {
    const here = links.indexOf(document.activeElement as HTMLAnchorElement);
    if (here < 0) return;
    const ends: Record<string, number> = { Home: 0, End: links.length - 1 };
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() };
    const wanted = ends[event.key] ?? here + (steps[event.key] ?? Number.NaN);
    const next = links[wanted];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  gallery.addEventListener("focusin", (event) => {
    if (!links.includes(event.target as HTMLAnchorElement)) return;
    for (const link of links) link.tabIndex = link === event.target ? 0 : -1;
  });
  if (viewer) setUpViewer(gallery, links, viewer);
}

function setUpViewer(gallery: HTMLElement, links: HTMLAnchorElement[], viewer: HTMLDialogElement): void {
  const image = need<HTMLImageElement>("[data-viewer-image]", viewer);
  let shown = 0;
  const show = (place: number): void => {
    const link = links[place];
    if (!link) return;
    shown = place;
    image.src = link.href;
    image.alt = find<HTMLImageElement>("img", link)?.alt ?? "";
    need("[data-viewer-place]", viewer).textContent = `${place + 1} of ${links.length}`;
    need("[data-viewer-path]", viewer).textContent = link.dataset["caption"] ?? "";
    const lines = link.parentElement?.querySelector("dl")?.cloneNode(true);
    need("[data-viewer-lines]", viewer).replaceChildren(...(lines ? [lines] : []));
    if (!viewer.open) viewer.showModal();
  };
  gallery.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("[data-view]") : null;
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(links.indexOf(link));
  });
  viewer.addEventListener("click", (event) => {
    const step = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-viewer-step]") : null;
    if (step) show(shown + Number(step.dataset["viewerStep"]));
  });
  viewer.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight") show(shown + 1);
    if (event.key === "ArrowLeft") show(shown - 1);
  });
  viewer.addEventListener("close", () => links[shown]?.focus());
}

for (const gallery of all("[data-gallery]")) setUpGallery(gallery);
for (const form of all<HTMLFormElement>("form[data-filters]")) {
  // Empty fields stay out of the address, so that it can be sent to somebody.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}
