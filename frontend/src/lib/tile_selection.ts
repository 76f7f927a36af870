import { all, element } from "./dom";

/**
 * Tiles that are selected as in a file manager: click, Shift for a range, Ctrl for one more, a box that is dragged, Ctrl+A,
 * arrows and Space. The list is one tab stop.
 */
export class TileSelection {
  readonly chosen = new Set<string>();
  private anchor = 0;
  private box: HTMLElement | null = null;
  private from = { x: 0, y: 0 };
  private hasDragged = false;

  constructor(
    private readonly list: HTMLElement,
    private readonly changed: () => void,
  ) {
    list.addEventListener("click", (event) => this.click(event));
    list.addEventListener("keydown", (event) => this.key(event));
    list.addEventListener("focusin", (event) => this.rove(event.target));
    list.addEventListener("pointerdown", (event) => this.begin(event));
    list.addEventListener("pointermove", (event) => this.drag(event));
    list.addEventListener("pointerup", () => this.end());
    list.addEventListener("pointercancel", () => this.end());
  }

  get tiles(): HTMLElement[] {
    return all("[data-tile]", this.list);
  }

  /** The tile that has the focus, if one has. */
  get focused(): string | null {
    const tile = document.activeElement?.closest<HTMLElement>("[data-tile]");
    return tile && this.list.contains(tile) ? (tile.dataset["tile"] ?? null) : null;
  }

  selectAll(): void {
    for (const tile of this.tiles) this.chosen.add(tile.dataset["tile"] ?? "");
    this.draw();
  }

  select(id: string): void {
    this.chosen.add(id);
    this.draw();
  }

  clear(): void {
    this.chosen.clear();
    this.draw();
  }

  /** The tiles are others now; what isn't there any more isn't chosen. */
  renew(): void {
    const tiles = this.tiles;
    const here = new Set(tiles.map((tile) => tile.dataset["tile"]));
    for (const id of [...this.chosen]) if (!here.has(id)) this.chosen.delete(id);
    tiles.forEach((tile, place) => (tile.tabIndex = place ? -1 : 0));
    this.anchor = 0;
    this.draw();
  }

  private draw(): void {
    for (const tile of this.tiles) tile.setAttribute("aria-selected", String(this.chosen.has(tile.dataset["tile"] ?? "")));
    this.changed();
  }

  private click(event: MouseEvent): void {
    const tile = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-tile]") : null;
    if (this.hasDragged) return;
    if (!tile) return this.clear();
    const place = this.tiles.indexOf(tile);
    const isTouch = event instanceof PointerEvent && event.pointerType === "touch";
    this.choose(place, event.shiftKey, event.ctrlKey || event.metaKey || isTouch);
    tile.focus();
  }

  private choose(place: number, isRange: boolean, isToggle: boolean): void {
    const tiles = this.tiles;
    const id = tiles[place]?.dataset["tile"] ?? "";
    if (isRange) {
      if (!isToggle) this.chosen.clear();
      for (const tile of tiles.slice(Math.min(place, this.anchor), Math.max(place, this.anchor) + 1)) this.chosen.add(tile.dataset["tile"] ?? "");
    } else {
      const was = this.chosen.has(id);
      if (!isToggle) this.chosen.clear();
      if (isToggle && was) this.chosen.delete(id);
      else this.chosen.add(id);
      this.anchor = place;
    }
    this.draw();
  }

  private key(event: KeyboardEvent): void {
    const tiles = this.tiles;
    const here = tiles.findIndex((tile) => tile === document.activeElement);
    if (here < 0 || event.altKey) return;
    if (event.key === " ") {
      event.preventDefault();
      return this.choose(here, event.shiftKey, true);
    }
    const top = tiles[0]?.getBoundingClientRect().top;
    const columns = Math.max(1, tiles.filter((tile) => tile.getBoundingClientRect().top === top).length);
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -here, End: tiles.length - 1 - here };
    const step = steps[event.key];
    const next = step === undefined ? undefined : tiles[here + step];
    if (!next) return;
    event.preventDefault();
    // Where nothing is selected yet, the range begins where the arrows have gone to.
    if (event.shiftKey && !this.chosen.size) this.anchor = here;
    next.focus();
    if (event.shiftKey) this.choose(tiles.indexOf(next), true, false);
  }

  private rove(target: EventTarget | null): void {
    const tiles = this.tiles;
    if (!tiles.includes(target as HTMLElement)) return;
    for (const tile of tiles) tile.tabIndex = tile === target ? 0 : -1;
  }

  // A box around tiles

  private begin(event: PointerEvent): void {
    this.end();
    this.hasDragged = false;
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    this.from = { x: event.pageX, y: event.pageY };
    this.box = element("div", { class: "select-box", hidden: "" });
    document.body.append(this.box);
  }

  private drag(event: PointerEvent): void {
    if (!this.box) return;
    // The button was released where this list doesn't hear of it.
    if (!event.buttons) return this.end();
    const width = Math.abs(event.pageX - this.from.x);
    const height = Math.abs(event.pageY - this.from.y);
    if (!this.hasDragged && width + height < 8) return;
    if (!this.hasDragged) {
      this.hasDragged = true;
      this.list.setPointerCapture(event.pointerId);
      if (!event.ctrlKey && !event.metaKey) this.chosen.clear();
    }
    Object.assign(this.box.style, {
      left: `${Math.min(event.pageX, this.from.x)}px`,
      top: `${Math.min(event.pageY, this.from.y)}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
    this.box.hidden = false;
    const drawn = this.box.getBoundingClientRect();
    for (const tile of this.tiles) {
      const place = tile.getBoundingClientRect();
      const isInside = place.left < drawn.right && place.right > drawn.left && place.top < drawn.bottom && place.bottom > drawn.top;
      if (isInside) this.chosen.add(tile.dataset["tile"] ?? "");
    }
    this.draw();
  }

  private end(): void {
    this.box?.remove();
    this.box = null;
  }
}
