import { all, announce, element, find } from "./dom";
import { errorOf, request } from "./http";
import { bindKey } from "./keys";

/** A large picture: the element around it, and the address of its heat map. */
interface Large {
  frame: HTMLElement;
  address: string;
}

const POINTED_AT_MS = 150;

/**
 * Heat maps over the pictures of a page. Over small ones (`data-heatmap`) while they are pointed at or have the focus,
 * or over all that are seen once they are switched on; over a large one only when they are switched on.
 */
export class HeatMaps {
  private isOn = false;
  private large: Large | null = null;
  private timer = 0;
  private isFailureSaid = false;
  private hasNone = false;
  private readonly seen = new IntersectionObserver((entries) => this.showSeen(entries), { rootMargin: "300px" });

  constructor() {
    bindKey("h", "Heat maps: where the answers came from", () => this.toggle());
    document.addEventListener("click", (event) => {
      if (event.target instanceof Element && event.target.closest("[data-heat-toggle]")) this.toggle();
    });
    for (const choice of all("[data-heat-of], [data-heat-style]")) choice.addEventListener("change", () => this.change());
    document.addEventListener("pointerover", (event) => this.meet(event, POINTED_AT_MS));
    document.addEventListener("focusin", (event) => this.meet(event, 0));
    document.addEventListener("pointerout", (event) => this.part(event));
    document.addEventListener("focusout", (event) => this.part(event));
  }

  /** The large picture that is shown from now on, if any; the heat map of the one that comes next is fetched ahead. */
  showLarge(large: Large | null, next?: string): void {
    if (this.large) hide(this.large.frame);
    this.large = large;
    this.apply();
    if (this.isOn) this.fetchAhead(next);
  }

  private toggle(): void {
    this.isOn = !this.isOn;
    for (const button of all("[data-heat-toggle]")) button.setAttribute("aria-pressed", String(this.isOn));
    this.apply();
  }

  /** Another class or look: those that are shown change; somebody who chooses one wants to see it. */
  private change(): void {
    if (!this.isOn) return this.toggle();
    this.apply();
  }

  private apply(): void {
    this.seen.disconnect();
    if (this.large) {
      if (this.isOn) this.show(this.large.frame, this.large.address);
      else hide(this.large.frame);
      return;
    }
    for (const frame of all("[data-heatmap]")) {
      if (this.isOn) this.seen.observe(frame);
      else hide(frame);
    }
  }

  private showSeen(entries: IntersectionObserverEntry[]): void {
    for (const { isIntersecting, target } of entries) if (isIntersecting) this.showOn(target as HTMLElement);
  }

  private meet(event: Event, wait_ms: number): void {
    const frame = frameOf(event.target);
    if (!frame || this.large) return;
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.showOn(frame);
      const frames = all("[data-heatmap]");
      this.fetchAhead(frames[frames.indexOf(frame) + 1]?.dataset["heatmap"]);
    }, wait_ms);
  }

  private part(event: FocusEvent | PointerEvent): void {
    const frame = frameOf(event.target);
    if (!frame || this.isOn || frame === frameOf(event.relatedTarget)) return;
    window.clearTimeout(this.timer);
    hide(frame);
  }

  private showOn(frame: HTMLElement): void {
    this.show(frame, frame.dataset["heatmap"] ?? "");
  }

  private fetchAhead(plain: string | undefined): void {
    if (plain && !this.hasNone) new Image().src = this.addressOf(plain);
  }

  private show(frame: HTMLElement, plain: string): void {
    if (this.hasNone) return;
    const address = this.addressOf(plain);
    const shown = find<HTMLImageElement>(".heat-map", frame);
    if (shown?.getAttribute("src") === address) {
      shown.hidden = false;
      return;
    }
    // A new element: with another address an old one would go on showing the map of another picture.
    shown?.remove();
    const map = element("img", { class: "heat-map", alt: "", src: address });
    map.addEventListener("error", () => void this.sayWhy(map), { once: true });
    frame.append(map);
  }

  private addressOf(plain: string): string {
    const of = find<HTMLSelectElement>("[data-heat-of]")?.value ?? "predicted";
    const style = find<HTMLSelectElement>("[data-heat-style]")?.value ?? "colour";
    return `${plain}&of=${of}&style=${style}`;
  }

  /** Say once why there are none, instead of showing broken pictures. */
  private async sayWhy(map: HTMLImageElement): Promise<void> {
    map.remove();
    if (this.isFailureSaid) return;
    this.isFailureSaid = true;
    const response = await request(map.src).catch(() => null);
    if (!response || response.ok) return;
    const { code, sentence } = errorOf(response.status, await response.json().catch(() => null));
    this.hasNone = code === "heatmaps-unavailable";
    const words = find("[data-heat-words]");
    if (words) words.textContent = sentence;
    announce(sentence);
  }
}

const frameOf = (target: EventTarget | null): HTMLElement | null => (target instanceof Element ? target.closest<HTMLElement>("[data-heatmap]") : null);

function hide(frame: HTMLElement): void {
  const map = find(".heat-map", frame);
  if (map) map.hidden = true;
}
