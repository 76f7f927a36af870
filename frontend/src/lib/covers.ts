import { all, announce, need } from "./dom";
import { ApiError, api } from "./http";
import { bindKey } from "./keys";

/** In pixels of the picture. */
interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

interface Answer {
  class: string;
  before: number;
  after: number;
}

/** A class's line in the list of answers, and what it says of the picture as it is. */
interface Row {
  name: string;
  bar: HTMLMeterElement;
  share: HTMLElement;
  value: number;
  words: string;
}

const SETTLED_MS = 200;
const STEP = 0.05;
const MOST = 200;

/** Parts of a picture to cover, drawn with the mouse, a finger or keys, and the answer as it changes with them. */
export class Covers {
  private readonly size: { width: number; height: number };
  private readonly toggle = need<HTMLButtonElement>("[data-cover-toggle]");
  private readonly clear = need<HTMLButtonElement>("[data-cover-clear]");
  private readonly words = need("[data-cover-words]");
  private readonly frame = rectangle("cover-frame");
  private readonly list = need("[data-shares]");
  private readonly rows: Row[];
  private covers: Box[] = [];
  private cursor: Box;
  private timer = 0;
  private asked = new AbortController();

  constructor(private readonly layer: SVGSVGElement) {
    const { width, height } = layer.viewBox.baseVal;
    this.size = { width, height };
    this.cursor = { left: width * 0.35, top: height * 0.35, width: width * 0.3, height: height * 0.3 };
    layer.append(this.frame);
    this.rows = all("li", this.list).map(rowOf);
    bindKey("c", "Cover a part of the picture", () => this.toggle.click());
    this.toggle.addEventListener("click", () => this.setActive(this.layer.hasAttribute("hidden")));
    this.clear.addEventListener("click", () => this.set([]));
    layer.addEventListener("pointerdown", (event) => this.drag(event));
    layer.addEventListener("keydown", (event) => this.press(event));
  }

  private setActive(isActive: boolean): void {
    this.layer.toggleAttribute("hidden", !isActive);
    this.toggle.setAttribute("aria-pressed", String(isActive));
    need("[data-cover-help]").hidden = !isActive;
    if (!isActive) return this.set([]);
    place(this.frame, this.cursor);
    this.layer.focus();
  }

  private drag(event: PointerEvent): void {
    if (event.button !== 0) return;
    const start = this.pointOf(event);
    const drawn = rectangle("cover");
    this.layer.append(drawn);
    this.layer.setPointerCapture(event.pointerId);
    let box = between(start, start);
    const move = (moved: PointerEvent): void => {
      box = between(start, this.pointOf(moved));
      place(drawn, box);
    };
    const end = (): void => {
      this.layer.removeEventListener("pointermove", move);
      drawn.remove();
      if (box.width && box.height) this.set([...this.covers, box]);
    };
    this.layer.addEventListener("pointermove", move);
    this.layer.addEventListener("lostpointercapture", end, { once: true });
  }

  private press(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const act = this.actOf(event);
    if (!act) return;
    event.preventDefault();
    act();
    place(this.frame, this.cursor);
  }

  private actOf({ key, shiftKey }: KeyboardEvent): (() => void) | undefined {
    const { width, height } = this.size;
    const steps: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[key];
    if (step) {
      const [right, down] = [step[0] * width * STEP, step[1] * height * STEP];
      return () => (shiftKey ? this.resize(right, down) : this.move(right, down));
    }
    if (key === " " || key === "Enter") return () => this.set([...this.covers, { ...this.cursor }]);
    if (key === "Backspace") return () => this.set(this.covers.slice(0, -1));
    if (key === "Escape") return () => (this.setActive(false), this.toggle.focus());
    return undefined;
  }

  private move(right: number, down: number): void {
    this.cursor.left = within(this.cursor.left + right, 0, this.size.width - this.cursor.width);
    this.cursor.top = within(this.cursor.top + down, 0, this.size.height - this.cursor.height);
  }

  private resize(right: number, down: number): void {
    this.cursor.width = within(this.cursor.width + right, this.size.width * STEP, this.size.width - this.cursor.left);
    this.cursor.height = within(this.cursor.height + down, this.size.height * STEP, this.size.height - this.cursor.top);
  }

  private pointOf(event: PointerEvent): DOMPoint {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.layer.getScreenCTM()?.inverse());
    return new DOMPoint(within(point.x, 0, this.size.width), within(point.y, 0, this.size.height));
  }

  private set(covers: Box[]): void {
    this.covers = covers.slice(0, MOST);
    for (const old of all<SVGRectElement>(".cover", this.layer)) old.remove();
    for (const cover of this.covers) this.layer.insertBefore(place(rectangle("cover"), cover), this.frame);
    this.clear.disabled = !this.covers.length;
    window.clearTimeout(this.timer);
    this.asked.abort();
    if (!this.covers.length) return this.restore();
    this.timer = window.setTimeout(() => void this.ask(), SETTLED_MS);
  }

  private async ask(): Promise<void> {
    const asked = (this.asked = new AbortController());
    const { width, height } = this.size;
    const covers = this.covers.map((box) => ({ left: box.left / width, top: box.top / height, width: box.width / width, height: box.height / height }));
    const init = { method: "POST", body: { covers }, signal: asked.signal };
    try {
      const { items } = await api<{ items: Answer[] }>(this.layer.dataset["cover"] ?? "", init);
      if (!asked.signal.aborted) this.show(items);
    } catch (reason) {
      if (!asked.signal.aborted) announce(reason instanceof ApiError ? reason.sentence : String(reason));
    }
  }

  private show(items: Answer[]): void {
    const answers = new Map(items.map((item) => [item.class, item]));
    this.list.dataset["covered"] = "";
    for (const { name, bar, share } of this.rows) {
      const answer = answers.get(name);
      if (!answer) continue;
      bar.value = answer.after;
      share.textContent = `${percent(answer.before)} → ${percent(answer.after)}`;
    }
    const before = items[0];
    const after = items.reduce((best, item) => (item.after > best.after ? item : best), items[0] as Answer);
    if (!before) return;
    this.words.textContent =
      after.class === before.class
        ? `With the cover it is still ${after.class}: ${percent(after.after)}, before ${percent(before.before)}.`
        : `With the cover it is ${after.class}: ${percent(after.after)}, before ${percent(after.before)}.`;
  }

  private restore(): void {
    delete this.list.dataset["covered"];
    for (const { bar, share, value, words } of this.rows) {
      bar.value = value;
      share.textContent = words;
    }
    this.words.textContent = "";
  }
}

function rowOf(line: HTMLElement): Row {
  const bar = need<HTMLMeterElement>("meter", line);
  const share = need("[data-share]", line);
  return { name: line.dataset["class"] ?? "", bar, share, value: bar.value, words: share.textContent ?? "" };
}

function rectangle(name: string): SVGRectElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  made.setAttribute("class", name);
  return made;
}

function place(rectangle: SVGRectElement, box: Box): SVGRectElement {
  rectangle.setAttribute("x", String(box.left));
  rectangle.setAttribute("y", String(box.top));
  rectangle.setAttribute("width", String(box.width));
  rectangle.setAttribute("height", String(box.height));
  return rectangle;
}

const between = (one: DOMPoint, other: DOMPoint): Box => ({
  left: Math.min(one.x, other.x),
  top: Math.min(one.y, other.y),
  width: Math.abs(one.x - other.x),
  height: Math.abs(one.y - other.y),
});

const within = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

const percent = (share: number): string => `${(100 * share).toFixed(1)}\u00a0%`;
