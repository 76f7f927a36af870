import { all, need } from "./dom";
import { resolver } from "./colours";
import { type Entry, rgbOf } from "./map_colours";
import { MapGestures, type Mode } from "./map_gestures";
import { GONE, type MapPoints, type Values } from "./map_points";
import { type Look, MapRaster, radiusOf } from "./map_raster";
import { MapView } from "./map_view";

const REACH = 12;
const A_STEP = 60;
/** Of more pictures, fewer pixels are drawn while the map moves, and all of them when it rests. */
const COARSE_FROM = 20_000;
const RESTS_MS = 120;
export const AROUND = 20;

/** What the canvas tells its page. */
export interface Listener {
  pointed(index: number, x: number, y: number): void;
  activated(index: number): void;
  selected(indices: readonly number[], isAdded: boolean): void;
  toggled(index: number): void;
  opened(index: number): void;
}

/** The canvas: what is seen of the map, and what pointers and keys do with it. */
export class MapCanvas {
  readonly view = new MapView();
  active = -1;
  private readonly raster: MapRaster;
  private readonly gestures: MapGestures;
  private readonly frame = need("[data-map-frame]");
  private readonly over = need<HTMLCanvasElement>("[data-map-over]");
  private points: MapPoints | null = null;
  private values: Values = { names: [], of: new Int32Array() };
  private selected = new Uint8Array();
  private legend: readonly Entry[] = [];
  /** The value that is picked out; the others are drawn faintly. */
  private picked: number | null = null;
  private lasso: readonly number[] = [];
  private isDue = false;
  private isMoving = false;
  private restTimer = 0;
  /** For each picture, how it is drawn; worked out when colours change, not for each frame. */
  private of: Int32Array | null = null;

  constructor(private readonly listener: Listener) {
    this.raster = new MapRaster(need("[data-map-points]"));
    this.gestures = new MapGestures(this.over, this.view, {
      moved: () => this.move(),
      drawn: (line, hasEnded, isAdded) => this.draw(line, hasEnded, isAdded),
      pointed: (x, y) => listener.pointed(this.at(x, y), x, y),
      left: () => listener.pointed(-1, 0, 0),
      clicked: (x, y, isAdded) => this.click(this.at(x, y), isAdded),
    });
    this.over.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(this.frame);
    // The theme is switched without a new page.
    new MutationObserver(() => this.redraw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    this.resize();
  }

  setPoints(points: MapPoints): void {
    this.points = points;
    if (this.selected.length !== points.length) this.selected = new Uint8Array(points.length);
    this.redraw();
  }

  setValues(values: Values, legend: readonly Entry[]): void {
    [this.values, this.legend, this.of] = [values, legend, null];
    if (!legend.some((entry) => entry.value === this.picked)) this.picked = null;
    this.redraw();
  }

  setSelected(selected: Uint8Array<ArrayBuffer>): void {
    this.selected = selected;
    this.redraw();
  }

  pick(value: number | null): void {
    [this.picked, this.of] = [value, null];
    this.redraw();
  }

  setMode(mode: Mode): void {
    this.gestures.setMode(mode);
    for (const button of all("[data-map-mode]")) button.setAttribute("aria-pressed", String(button.dataset["mapMode"] === mode));
  }

  get mode(): Mode {
    return this.gestures.mode;
  }

  zoom(how: string): void {
    if (how === "fit") this.view.fit();
    else this.view.zoomAt(this.view.width / 2, this.view.height / 2, how === "in" ? 1.5 : 1 / 1.5);
    this.redraw();
  }

  focus(): void {
    this.over.focus();
  }

  /** Draw with the next frame; as often as it is asked for until then, once. */
  redraw(): void {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.drawNow();
    });
  }

  private move(): void {
    this.isMoving = true;
    window.clearTimeout(this.restTimer);
    this.restTimer = window.setTimeout(() => {
      this.isMoving = false;
      this.redraw();
    }, RESTS_MS);
    this.redraw();
  }

  private get ratio(): number {
    const isCoarse = this.isMoving && (this.points?.length ?? 0) > COARSE_FROM;
    return isCoarse ? 1 : Math.min(2, window.devicePixelRatio || 1);
  }

  private drawNow(): void {
    const { points } = this;
    if (!points || this.values.of.length !== points.length) return;
    const colour = resolver(this.frame);
    const [ground, ink, faint] = [rgbOf(colour("--surface")), rgbOf(colour("--ink")), rgbOf(colour("--surface-3"))];
    const looks: Look[] = [];
    const place = new Map<number, number>();
    const entries = [...this.legend].sort((one, other) => Number(one.value === this.picked) - Number(other.value === this.picked));
    for (const entry of entries) {
      place.set(entry.value, looks.length);
      looks.push(this.picked === null || entry.value === this.picked ? entry : { ...entry, colour: faint });
    }
    this.of ??= this.values.of.map((value) => place.get(value) ?? -1);
    this.raster.draw(points, this.view, { of: this.of, looks, selected: this.selected, ground, ink }, this.ratio);
    this.drawOver(colour("--ink"), colour("--accent"));
  }

  /** Whether a picture can be pointed at. */
  readonly isShown = (index: number): boolean => {
    const value = this.values.of[index] ?? GONE;
    return value !== GONE && (this.picked === null || value === this.picked);
  };

  activate(index: number): void {
    this.active = index;
    if (this.points && index >= 0) this.view.show(this.points.x[index]!, this.points.y[index]!);
    this.redraw();
    this.listener.activated(index);
  }

  private drawOver(ink: string, accent: string): void {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const { over, view, points } = this;
    const [width, height] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (over.width !== width || over.height !== height) [over.width, over.height] = [width, height];
    const context = over.getContext("2d");
    if (!context) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    if (points && this.active >= 0 && this.active < points.length) {
      context.beginPath();
      const radius = radiusOf(points.length, view) + 5;
      context.arc(view.toScreenX(points.x[this.active]!), view.toScreenY(points.y[this.active]!), radius, 0, 2 * Math.PI);
      [context.lineWidth, context.strokeStyle] = [2.5, ink];
      context.stroke();
    }
    if (this.lasso.length < 4) return;
    context.beginPath();
    for (let place = 0; place < this.lasso.length; place += 2) context.lineTo(this.lasso[place]!, this.lasso[place + 1]!);
    context.closePath();
    [context.globalAlpha, context.fillStyle] = [0.14, accent];
    context.fill();
    [context.globalAlpha, context.strokeStyle, context.lineWidth] = [1, accent, 2];
    context.stroke();
  }

  private resize(): void {
    [this.view.width, this.view.height] = [Math.max(1, this.frame.clientWidth), Math.max(1, this.frame.clientHeight)];
    // At once: an empty canvas between two frames would flicker.
    this.drawNow();
  }

  /** The picture under a point of the screen. */
  private at(x: number, y: number): number {
    const { view } = this;
    return this.points?.nearest(view.toMapX(x), view.toMapY(y), REACH / view.scale, this.isShown) ?? -1;
  }

  private click(index: number, isAdded: boolean): void {
    if (index >= 0 && isAdded) this.listener.toggled(index);
    this.active = index;
    this.redraw();
    this.listener.activated(index);
  }

  private draw(line: readonly number[], hasEnded: boolean, isAdded: boolean): void {
    this.lasso = hasEnded ? [] : line;
    this.redraw();
    if (!hasEnded || line.length < 6 || !this.points) return;
    const { view } = this;
    const onMap = line.map((at, place) => (place % 2 ? view.toMapY(at) : view.toMapX(at)));
    this.listener.selected(this.points.inside(onMap, this.isShown), isAdded);
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const directions: Record<string, [number, number]> = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
    const direction = directions[event.key];
    const zooms: Record<string, string> = { "+": "in", "=": "in", "-": "out", "0": "fit" };
    const zoom = zooms[event.key];
    if (direction && event.shiftKey) {
      this.view.pan(-direction[0] * A_STEP, -direction[1] * A_STEP);
      this.move();
    } else if (direction) this.step(...direction);
    else if (zoom) this.zoom(zoom);
    else if (event.key === " " && this.active >= 0) this.listener.toggled(this.active);
    else if (event.key === "n" && this.active >= 0 && this.points) this.listener.selected(this.points.around(this.active, AROUND, this.isShown), true);
    else if (event.key === "Enter" && this.active >= 0) this.listener.opened(this.active);
    else return;
    event.preventDefault();
  }

  private step(x: number, y: number): void {
    const { points, view } = this;
    if (!points) return;
    const middle = (): number => points.nearest(view.toMapX(view.width / 2), view.toMapY(view.height / 2), 10, this.isShown);
    const next = this.active < 0 ? middle() : points.towards(this.active, x, y, this.isShown);
    if (next >= 0) this.activate(next);
  }
}
