import { element, find, need } from "./dom";
import { counted } from "./format";
import type { FixQueue, Picture } from "./fix_queue";
import { PRELOADED } from "./picture_queue";
import { PictureTiles, thumbnail, tile } from "./picture_tiles";

const PROPOSED = 3;

/** What is seen of a sprint's pictures and of what may be decided about those that a key is for. */
export class FixView {
  readonly tiles: PictureTiles<Picture>;

  constructor(
    private readonly root: HTMLElement,
    private readonly queue: FixQueue,
    private readonly isGrid: () => boolean,
  ) {
    this.tiles = new PictureTiles(need("[data-tiles]", root), tileOf, () => this.drawDecision());
    // Which tile has the focus matters while none is selected.
    need("[data-tiles]", root).addEventListener("focusin", () => this.drawDecision());
  }

  /** The pictures that a key is for. */
  get meant(): Picture[] {
    if (!this.isGrid()) return this.queue.waiting.slice(0, 1);
    const ids = this.tiles.meant;
    return this.queue.waiting.filter((picture) => ids.has(picture.image_id));
  }

  /** The classes that have digits: of one picture its own, of several the most frequent proposals. */
  get choices(): string[] {
    const meant = this.meant;
    const [only] = meant;
    if (only && meant.length === 1) return only.choices;
    const counts = new Map<string, number>();
    for (const { choices: [first] } of meant) if (first !== undefined) counts.set(first, (counts.get(first) ?? 0) + 1);
    return [...counts].sort((one, other) => other[1] - one[1]).slice(0, PROPOSED).map(([name]) => name);
  }

  draw(): void {
    const [current] = this.queue.waiting;
    need("[data-one]", this.root).hidden = this.isGrid();
    need("[data-grid]", this.root).hidden = !this.isGrid();
    need("[data-accept]", this.root).hidden = !this.isGrid();
    if (this.isGrid()) this.tiles.draw(this.queue.waiting);
    else if (current) this.drawOne(current);
    this.drawDecision();
  }

  private drawOne(picture: Picture): void {
    const figure = need("[data-picture]", this.root);
    const image = this.queue.image(picture);
    if (figure.firstElementChild !== image) figure.replaceChildren(image);
    need("[data-caption]", this.root).textContent = picture.path;
    need<HTMLInputElement>("[data-image-id]", this.root).value = picture.image_id;
    need<HTMLInputElement>("[data-before]", this.root).value = picture.label;
    const next = this.queue.waiting.slice(1, PRELOADED + 1).map((other) => element("li", {}, thumbnail(other)));
    need("[data-next]", this.root).replaceChildren(...next);
  }

  private drawDecision(): void {
    const meant = this.meant;
    const [only] = meant;
    const selected = this.isGrid() ? this.tiles.selection.chosen.size : 0;
    need("[data-selected]", this.root).textContent = selected ? `${selected} selected` : "Click pictures, drag a box or press Ctrl+A; then decide.";
    const labels = [...new Set(meant.map((picture) => picture.label))];
    need("[data-label]", this.root).textContent = labels.length > PROPOSED ? counted(labels.length, "class", "classes") : labels.join(", ") || "none selected";
    need("[data-why]", this.root).textContent = meant.length > 1 ? `One key decides about ${counted(meant.length, "picture")}.` : (only?.why ?? "Select the pictures to decide about.");
    const tested = meant.filter((picture) => picture.split !== "train").length;
    const note = need("[data-held-out]", this.root);
    note.hidden = tested === 0;
    const words = meant.length === 1 ? "This is a test picture: a new label changes" : `${counted(tested, "of these is a test picture", "of these are test pictures")}: new labels change`;
    note.textContent = `${words} what the next score is measured on.`;
    const choices = this.choices.map((name, place) => element("li", {}, choice(name, place + 1)));
    need("[data-choices]", this.root).replaceChildren(...choices);
  }

  /** The nearest of what was asked for that there is; keys go on from there. */
  focus(): void {
    if (this.isGrid()) this.tiles.focus();
    else find("[data-picture]", this.root)?.focus();
  }
}

function tileOf(picture: Picture): HTMLElement {
  const [proposed] = picture.choices;
  const label = element("span", { class: "tile-title" }, element("span", { class: "hidden-text" }, "label "), picture.label);
  const made = tile(picture, "", label);
  if (proposed !== undefined) made.append(element("span", { class: "tile-title tile-proposal" }, element("span", { class: "quiet" }, "proposed "), proposed));
  made.title = `${picture.path}\n${picture.why}`;
  return made;
}

const choice = (name: string, key: number): HTMLElement =>
  element("button", { class: "button class-key", name: "label", value: name }, element("kbd", {}, String(key)), element("span", { class: "class-key-name" }, name));
