import { all, find, need } from "./dom";
import type { HeatMaps } from "./heat_maps";

const links = (gallery: HTMLElement): HTMLAnchorElement[] => all<HTMLAnchorElement>("[data-view]", gallery);

/**
 * Shows the pictures of a gallery large, one at a time, in the page's viewer dialog.
 * The address follows: reloading, or sending it to somebody, opens the picture's own page.
 */
export class Viewer {
  private readonly image: HTMLImageElement;
  private readonly zoom: HTMLElement;
  private gallery: HTMLElement | null = null;
  private index = 0;
  private home = location.href;

  constructor(
    private readonly dialog: HTMLDialogElement,
    private readonly heatMaps: HeatMaps | null,
  ) {
    this.image = need<HTMLImageElement>("[data-viewer-image]", dialog);
    this.zoom = need("[data-viewer-zoom]", dialog);
    this.zoom.addEventListener("click", () => this.toggleZoom());
    dialog.addEventListener("click", (event) => {
      const step = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-viewer-step]") : null;
      if (step) this.show(this.index + Number(step.dataset["viewerStep"]));
    });
    dialog.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "ArrowRight") this.show(this.index + 1);
      if (event.key === "ArrowLeft") this.show(this.index - 1);
      if (event.key === "z") this.toggleZoom();
    });
    dialog.addEventListener("close", () => {
      history.replaceState(history.state, "", this.home);
      this.heatMaps?.showLarge(null);
      if (this.gallery) links(this.gallery)[this.index]?.focus();
    });
  }

  /** Opens the viewer on one picture of a gallery. */
  open(gallery: HTMLElement, link: HTMLAnchorElement): void {
    this.gallery = gallery;
    if (!this.dialog.open) this.home = location.href;
    this.show(links(gallery).indexOf(link));
  }

  private show(index: number): void {
    if (!this.gallery) return;
    const shown = links(this.gallery);
    const link = shown[index];
    if (!link) return;
    this.index = index;
    this.setZoom(false);
    this.image.src = link.dataset["large"] ?? link.href;
    this.image.alt = find<HTMLImageElement>("img", link)?.alt ?? "";
    need("[data-viewer-position]", this.dialog).textContent = `${index + 1} of ${shown.length}`;
    need("[data-viewer-path]", this.dialog).textContent = link.dataset["caption"] ?? "";
    need<HTMLAnchorElement>("[data-viewer-page]", this.dialog).href = link.href;
    const lines = find<HTMLTemplateElement>("template[data-lines]", link.parentElement ?? this.gallery);
    need("[data-viewer-lines]", this.dialog).replaceChildren(...(lines ? [lines.content.cloneNode(true)] : []));
    for (const button of all<HTMLButtonElement>("[data-viewer-step]", this.dialog)) {
      button.disabled = !shown[index + Number(button.dataset["viewerStep"])];
    }
    history.replaceState(history.state, "", link.href);
    if (!this.dialog.open) this.dialog.showModal();
    this.showHeatMap(link, shown[index + 1]);
  }

  private showHeatMap(link: HTMLAnchorElement, next: HTMLAnchorElement | undefined): void {
    const address = link.dataset["heatmap"];
    need("[data-viewer-heat]", this.dialog).hidden = !this.heatMaps || !address;
    this.heatMaps?.showLarge(address ? { frame: this.zoom, address } : null, next?.dataset["heatmap"]);
  }

  private toggleZoom(): void {
    this.setZoom(this.zoom.getAttribute("aria-pressed") !== "true");
  }

  private setZoom(isLarge: boolean): void {
    this.zoom.setAttribute("aria-pressed", String(isLarge));
    this.zoom.setAttribute("aria-label", isLarge ? "Fit to the window" : "Enlarge");
  }
}

/** Makes a gallery one tab stop: arrows move in it, Enter or a click opens the viewer. Its pictures may change later. */
export function setUpGallery(gallery: HTMLElement, viewer: Viewer | null): void {
  const start = (): void => links(gallery).forEach((link, index) => (link.tabIndex = index ? -1 : 0));
  start();
  new MutationObserver(start).observe(gallery, { childList: true });

  gallery.addEventListener("keydown", (event) => {
    const shown = links(gallery);
    const here = shown.indexOf(document.activeElement as HTMLAnchorElement);
    if (here < 0) return;
    const top = shown[0]?.getBoundingClientRect().top;
    const columns = Math.max(1, shown.filter((link) => link.getBoundingClientRect().top === top).length);
    const ends: Record<string, number> = { Home: 0, End: shown.length - 1 };
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    const next = shown[ends[event.key] ?? here + (steps[event.key] ?? Number.NaN)];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  gallery.addEventListener("focusin", (event) => {
    const shown = links(gallery);
    if (!shown.includes(event.target as HTMLAnchorElement)) return;
    for (const link of shown) link.tabIndex = link === event.target ? 0 : -1;
  });
  if (!viewer) return;
  gallery.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("[data-view]") : null;
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    viewer.open(gallery, link);
  });
}

/** Sets up every gallery of the page with the page's viewer, if it has one, and with heat maps of its pictures. */
export function setUpGalleries(heatMaps: HeatMaps | null = null): void {
  const dialog = find<HTMLDialogElement>("[data-viewer]");
  const viewer = dialog ? new Viewer(dialog, heatMaps) : null;
  for (const gallery of all("[data-gallery]")) setUpGallery(gallery, viewer);
}
