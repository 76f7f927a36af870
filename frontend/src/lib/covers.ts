import { all, announce, need } from "./dom";
import { CoverAnswers } from "./cover_answers";
import { CoverCanvas, goOn, isFull, type Part, type Point } from "./cover_canvas";
import { bindKey } from "./keys";

const STEP = 0.04;
const MOST = 200;

/** Parts of a picture to cover, painted with the mouse, a finger, a pen or keys, and the answer as it moves with them. */
export class Covers {
  private readonly canvas: CoverCanvas;
  private readonly answers: CoverAnswers;
  private readonly toggle = need<HTMLButtonElement>("[data-cover-toggle]");
  private readonly tools = need("[data-cover-tools]");
  private readonly size = need<HTMLInputElement>("[data-cover-size]", this.tools);
  private readonly undo = need<HTMLButtonElement>("[data-cover-undo]", this.tools);
  private readonly clear = need<HTMLButtonElement>("[data-cover-clear]", this.tools);
  private parts: Part[] = [];
  private cursor: Point;

  constructor(private readonly layer: SVGSVGElement) {
    this.canvas = new CoverCanvas(layer);
    this.answers = new CoverAnswers(layer.dataset["cover"] ?? "", (colour) => (this.canvas.fill = colour));
    this.cursor = [this.canvas.size.width / 2, this.canvas.size.height / 2];
    bindKey("c", "Cover a part of the picture", () => this.toggle.click());
    this.toggle.addEventListener("click", () => this.setActive(this.layer.hasAttribute("hidden")));
    this.undo.addEventListener("click", () => this.set(this.parts.slice(0, -1)));
    this.clear.addEventListener("click", () => this.set([]));
    this.tools.addEventListener("input", () => this.drawCursor());
    layer.addEventListener("pointerdown", (event) => this.paint(event));
    layer.addEventListener("keydown", (event) => this.press(event));
  }

  private get kind(): Part["kind"] {
    return need<HTMLInputElement>("input[name=cover-tool]:checked", this.tools).value as Part["kind"];
  }

  private set kind(kind: Part["kind"]) {
    for (const input of all<HTMLInputElement>("input[name=cover-tool]", this.tools)) input.checked = input.value === kind;
  }

  /** Of the brush, in pixels of the picture; the slider has the width in per cent of the shorter side. */
  private get radius(): number {
    const { width, height } = this.canvas.size;
    return (Number(this.size.value) / 200) * Math.min(width, height);
  }

  private setActive(isActive: boolean): void {
    this.layer.toggleAttribute("hidden", !isActive);
    this.toggle.setAttribute("aria-pressed", String(isActive));
    this.tools.hidden = !isActive;
    this.set([]);
    if (!isActive) return;
    // The colour, and the model is at hand when the first stroke comes.
    void this.answers.ask([]);
    this.drawCursor();
    this.layer.focus();
  }

  private paint(event: PointerEvent): void {
    if (event.button !== 0) return;
    let part = this.begin(this.canvas.pointOf(event));
    this.layer.setPointerCapture(event.pointerId);
    const move = (moved: PointerEvent): void => {
      for (const one of [...(moved.getCoalescedEvents?.() ?? []), moved]) {
        if (part && isFull(part)) part = this.begin(this.cursor);
        this.cursor = this.canvas.pointOf(one);
        if (part) goOn(part, this.cursor);
      }
      this.changed();
    };
    this.layer.addEventListener("pointermove", move);
    this.layer.addEventListener("lostpointercapture", () => this.layer.removeEventListener("pointermove", move), { once: true });
  }

  /** A new part; one key or touch makes a dot. */
  private begin(at: Point): Part | null {
    if (this.parts.length >= MOST) {
      announce(`No more than ${MOST} strokes can be painted at once.`);
      return null;
    }
    const { kind, radius } = this;
    const part: Part = kind === "rectangle" ? { kind, from: at, to: at } : { kind, radius, points: [at] };
    this.parts.push(part);
    this.cursor = at;
    this.changed();
    return part;
  }

  private press(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const act = this.actOf(event);
    if (!act) return;
    event.preventDefault();
    // These letters mean something else on the rest of the page.
    event.stopPropagation();
    act();
    this.drawCursor();
  }

  private actOf({ key, shiftKey }: KeyboardEvent): (() => void) | undefined {
    const { width, height } = this.canvas.size;
    const step = STEP * Math.min(width, height);
    const steps: Record<string, Point> = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const move = steps[key];
    if (move) return () => this.move(move, shiftKey);
    const undo = (): void => this.set(this.parts.slice(0, -1));
    const acts: Record<string, () => void> = {
      " ": () => this.dab(),
      Enter: () => this.dab(),
      Backspace: undo,
      z: undo,
      "+": () => this.size.stepUp(),
      "=": () => this.size.stepUp(),
      "-": () => this.size.stepDown(),
      b: () => (this.kind = "brush"),
      r: () => (this.kind = "rectangle"),
      e: () => (this.kind = "eraser"),
      Escape: () => (this.setActive(false), this.toggle.focus()),
    };
    return acts[key];
  }

  /** Move the cursor; with Shift it paints on its way. */
  private move([right, down]: Point, paints: boolean): void {
    const from = this.cursor;
    const to = this.canvas.within([from[0] + right, from[1] + down]);
    if (paints && this.kind !== "rectangle") {
      const part = this.strokeAt(from) ?? this.begin(from);
      if (part && part.kind !== "rectangle") part.points.push(to);
      this.changed();
    }
    this.cursor = to;
  }

  /** The last stroke, where it ends here and could be gone on with. */
  private strokeAt(point: Point): Part | null {
    const last = this.parts.at(-1);
    const goesOn = last?.kind !== "rectangle" && last?.kind === this.kind && last.radius === this.radius && !isFull(last);
    return goesOn && last.points.at(-1)?.join() === point.join() ? last : null;
  }

  /** Paint where the cursor is: a dot, or a square as wide as the brush. */
  private dab(): void {
    const { cursor, radius } = this;
    if (this.kind !== "rectangle") return void this.begin(cursor);
    const part = this.begin(this.canvas.within([cursor[0] - radius, cursor[1] - radius]));
    if (part) goOn(part, this.canvas.within([cursor[0] + radius, cursor[1] + radius]));
    this.cursor = cursor;
    this.changed();
  }

  private drawCursor(): void {
    this.canvas.drawCursor(this.cursor, this.radius, this.kind === "rectangle");
  }

  private set(parts: Part[]): void {
    this.parts = parts;
    this.changed();
  }

  private changed(): void {
    this.canvas.draw(this.parts);
    this.undo.disabled = this.clear.disabled = !this.parts.length;
    if (this.parts.length) void this.answers.ask(this.parts.map((part) => this.canvas.bodyOf(part)));
    else this.answers.restore();
  }
}
