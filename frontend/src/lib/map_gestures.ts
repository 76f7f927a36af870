import type { MapView } from "./map_view";

const A_CLICK = 5;

export type Mode = "move" | "lasso";

/** What somebody does with the map; positions are CSS pixels from the canvas's top left. */
export interface Gestures {
  moved(): void;
  /** `line` is x, y, x, y, …; it has ended, or goes on. */
  drawn(line: readonly number[], hasEnded: boolean, isAdded: boolean): void;
  pointed(x: number, y: number): void;
  left(): void;
  clicked(x: number, y: number, isAdded: boolean): void;
}

/** Pointers and the wheel: one finger moves or draws, two enlarge, a click chooses. */
export class MapGestures {
  mode: Mode = "move";
  private readonly fingers = new Map<number, { x: number; y: number }>();
  private line: number[] | null = null;
  private travelled = 0;
  private isAdded = false;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly view: MapView,
    private readonly act: Gestures,
  ) {
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.cancel(event));
    canvas.addEventListener("pointerleave", () => act.left());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("dblclick", (event) => {
      view.zoomAt(event.offsetX, event.offsetY, 2);
      act.moved();
    });
  }

  setMode(mode: Mode): void {
    this.mode = mode;
    this.canvas.dataset["mode"] = mode;
  }

  private down(event: PointerEvent): void {
    if (event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, this.at(event));
    if (this.fingers.size > 1) {
      this.endLine(false);
      this.travelled = Infinity;
      return;
    }
    this.travelled = 0;
    this.isAdded = event.ctrlKey || event.metaKey;
    this.line = this.mode === "lasso" || event.shiftKey ? [event.offsetX, event.offsetY] : null;
    if (!this.line) this.canvas.dataset["dragging"] = "";
  }

  private move(event: PointerEvent): void {
    const before = this.fingers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") this.act.pointed(event.offsetX, event.offsetY);
      return;
    }
    const now = this.at(event);
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.fingers.set(event.pointerId, now);
    this.travelled += Math.hypot(now.x - before.x, now.y - before.y);
    if (other) this.pinch(before, now, other);
    else if (this.line) {
      this.line.push(now.x, now.y);
      this.act.drawn(this.line, false, this.isAdded);
    } else {
      this.view.pan(now.x - before.x, now.y - before.y);
      this.act.moved();
    }
  }

  private pinch(before: { x: number; y: number }, now: { x: number; y: number }, other: { x: number; y: number }): void {
    const apart = (one: { x: number; y: number }): number => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
    this.view.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    this.view.zoomAt((now.x + other.x) / 2, (now.y + other.y) / 2, apart(now) / apart(before));
    this.act.moved();
  }

  private up(event: PointerEvent): void {
    if (!this.fingers.delete(event.pointerId)) return;
    if (this.fingers.size) return;
    delete this.canvas.dataset["dragging"];
    const isClick = this.travelled < A_CLICK;
    this.endLine(!isClick);
    if (isClick) this.act.clicked(event.offsetX, event.offsetY, this.isAdded || event.shiftKey);
  }

  private cancel(event: PointerEvent): void {
    this.fingers.delete(event.pointerId);
    delete this.canvas.dataset["dragging"];
    this.endLine(false);
  }

  private endLine(isMeant: boolean): void {
    if (!this.line) return;
    const line = this.line;
    this.line = null;
    this.act.drawn(isMeant ? line : [], true, this.isAdded);
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    this.view.zoomAt(event.offsetX, event.offsetY, Math.exp(-Math.max(-200, Math.min(200, event.deltaY * lines)) / 300));
    this.act.moved();
  }

  private at(event: PointerEvent): { x: number; y: number } {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
}
