import { all, announce, element, find, need } from "./lib/dom";
import { classFinder } from "./lib/class_finder";
import { number } from "./lib/format";
import { bindKey, decideByKeys } from "./lib/keys";
import { type Answer, LabelQueue, type Picture } from "./lib/label_queue";
import { PictureTiles, thumbnail, tile } from "./lib/picture_tiles";
import { ProblemBox } from "./lib/problem_box";
import { type Changed, SaveQueue } from "./lib/save_queue";
import { type UndoBar, undoBar } from "./lib/undo_bar";
import { ViewSwitch } from "./lib/view_switch";

const REASON = "labelled by hand";
const TILES = 60;

/** One action of this page, so that it can be taken back whatever others do. */
interface Action {
  pictures: Picture[];
  label: string | null;
  batch: Promise<string | null>;
}

/** Pictures one by one, or many at once; a key gives a label, the next picture is there, and the change is saved behind it. */
class ByHandPage {
  private readonly queue: LabelQueue;
  private readonly saves: SaveQueue;
  private readonly tiles: PictureTiles<Picture>;
  private readonly views: ViewSwitch;
  private readonly bar: UndoBar | null;
  private readonly problem: ProblemBox;
  private readonly counts = new Map<string, number>();
  private readonly done: Action[] = [];
  private readonly undone: Action[] = [];
  private labelled = 0;
  private left = 0;
  /** Counts what was changed here: an answer that was asked for before knows nothing of it. */
  private stamp = 0;
  private askedAt = 0;
  private isAll = false;

  constructor(private readonly root: HTMLElement) {
    const data = root.dataset;
    const path = data["path"] ?? "";
    this.queue = new LabelQueue(path, { show: data["show"] ?? "", class: data["class"] ?? "", text: data["text"] ?? "" }, (answer) => {
      if (this.stamp === this.askedAt) {
        this.labelled = answer.labelled;
        this.left = answer.left;
        this.counts.clear();
        for (const { name, images } of answer.classes) this.counts.set(name, images);
      }
      const policy = need("[data-policy]", root);
      policy.textContent = answer.policy.message;
      policy.dataset["policy"] = answer.policy.code;
      this.draw();
    });
    this.problem = new ProblemBox(root);
    this.saves = new SaveQueue(path, (open) => (need("[data-saving]", root).hidden = open === 0));
    this.tiles = new PictureTiles(need("[data-tiles]", root), tileOf, () => this.drawSelection());
    this.views = new ViewSwitch(root, "tellapart-by-hand-view", () => this.turnView());
    this.bar = undoBar(() => void this.restart(), { undo: () => void this.undo(), redo: () => void this.redo() });
    const finder = classFinder(() => this.names, (name) => {
      this.give(name);
      if (this.isGrid) this.tiles.focus();
    });
    const form = need<HTMLFormElement>("[data-label-form]", root);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const button = event.submitter as HTMLButtonElement | null;
      if (button?.name === "label") this.give(button.value);
      else if (button?.name === "action") this.give(null);
      else finder?.submit();
    });
    need("[data-skip]", root).addEventListener("click", () => this.skip());
    need("[data-accept]", root).addEventListener("click", () => this.accept());
    need("[data-again]", root).addEventListener("click", () => void this.restart());
    need("[data-select-all]", root).addEventListener("click", () => this.selectAll());
    decideByKeys((event, target) => this.actionOf(event, target, () => (this.tiles.holdFocused(), finder?.open())));
    this.listKeys();
    this.queue.begin(JSON.parse(data["first"] ?? "{}") as Answer);
    void this.fill();
  }

  /** Fetch more pictures where few are left; how many have a label is taken from the answer if nothing changed meanwhile. */
  private async fill(): Promise<void> {
    await this.saves.done;
    this.askedAt = this.stamp;
    await this.queue.fill();
  }

  private async restart(): Promise<void> {
    await this.saves.done;
    this.askedAt = this.stamp;
    await this.queue.restart();
  }

  private get isGrid(): boolean {
    return this.views.isGrid;
  }

  private get names(): string[] {
    return [...this.counts.keys()];
  }

  /** Classes keep their keys while the page is open; new ones come after them. */
  private get keyed(): { key: string; name: string }[] {
    const keys = this.root.dataset["keys"] ?? "";
    return all<HTMLButtonElement>("[data-classes] button", this.root).map((button, place) => ({ key: keys[place] ?? "", name: button.value }));
  }

  /** The pictures that a key is for: in the grid the chosen ones, else the one that is shown or has the focus. */
  private get meant(): Set<string> {
    if (!this.isGrid) return new Set(this.queue.waiting.slice(0, 1).map((picture) => picture.image_id));
    return this.tiles.meant;
  }

  // What can be done

  give(label: string | null): void {
    const ids = this.meant;
    if (this.isAll && this.isGrid) return void this.giveAll(label);
    if (!ids.size) return announce(this.queue.waiting.length ? "Choose pictures first." : "No picture is left here.");
    const pictures = this.queue.take(ids);
    this.store({ pictures, label, batch: Promise.resolve(null) });
  }

  private skip(): void {
    const taken = this.queue.take(this.meant);
    if (taken.length > 1) announce(`${number(taken.length)} pictures skipped.`);
    need("[data-again]", this.root).hidden = false;
    this.draw();
    void this.fill();
  }

  private accept(): void {
    const proposal = this.queue.waiting[0]?.proposal;
    if (proposal && !this.isGrid) this.give(proposal.label);
  }

  private store(action: Action, isAgain = false): void {
    const { pictures, label } = action;
    const changes = pictures.map((picture) => ({ image_id: picture.image_id, label, ...(isAgain ? {} : { before: picture.label }) }));
    const saved = this.saves.save({ changes, reason: REASON });
    action.batch = saved.then((changed) => changed.batch_id, () => null);
    saved.then(
      (changed) => this.say(changed),
      (reason: unknown) => this.refused(action, reason),
    );
    this.done.push(action);
    this.undone.length = 0;
    this.count(pictures, label);
    this.problem.hide();
    this.draw();
    void this.fill();
  }

  private async giveAll(label: string | null): Promise<void> {
    const { show, class: name, text } = this.queue.filter;
    try {
      const changed = await this.saves.save({ select: { show, class: name, text }, label, reason: REASON });
      this.done.push({ pictures: [], label, batch: Promise.resolve(changed.batch_id) });
      this.say(changed);
    } catch (reason) {
      this.problem.show(reason);
    }
    this.isAll = false;
    this.tiles.selection.clear();
    await this.restart();
  }

  private say(changed: Changed): void {
    this.bar?.show(changed.message);
  }

  /** The pictures come back with the reason; where somebody else was faster, the person decides. */
  private refused(action: Action, reason: unknown): void {
    const place = this.done.indexOf(action);
    if (place >= 0) this.done.splice(place, 1);
    this.count(action.pictures, action.label, -1);
    this.queue.bringBack(action.pictures);
    this.draw();
    const ids = new Set(action.pictures.map((picture) => picture.image_id));
    this.problem.show(reason, {
      mine: () => this.store({ ...action, pictures: this.queue.take(ids) }, true),
      theirs: () => {
        this.queue.take(ids);
        this.draw();
      },
    });
  }

  private async undo(): Promise<void> {
    const action = this.done.pop();
    if (!action) {
      if (await this.bar?.undoBatch()) await this.restart();
      return;
    }
    // What is taken back is seen at once; the server hears of it when it has heard of the change.
    this.queue.bringBack(action.pictures);
    this.count(action.pictures, action.label, -1);
    this.draw();
    const batch = await action.batch;
    if (!batch || !(await this.bar?.undoBatch(batch))) return;
    this.undone.push(action);
    if (isOfAll(action)) await this.restart();
  }

  private async redo(): Promise<void> {
    const action = this.undone.pop();
    const batch = await action?.batch;
    if (!action || !batch) {
      if (await this.bar?.redoBatch()) await this.restart();
      return;
    }
    if (!(await this.bar?.redoBatch(batch))) return;
    if (isOfAll(action)) {
      this.done.push(action);
      return this.restart();
    }
    this.queue.take(new Set(action.pictures.map((picture) => picture.image_id)));
    this.count(action.pictures, action.label);
    this.done.push(action);
    this.draw();
  }

  private count(pictures: readonly Picture[], label: string | null, by = 1): void {
    for (const picture of pictures) {
      if (picture.label !== null) this.counts.set(picture.label, (this.counts.get(picture.label) ?? 0) - by);
      if (label !== null) this.counts.set(label, (this.counts.get(label) ?? 0) + by);
      this.labelled += by * (Number(label !== null) - Number(picture.label !== null));
    }
    this.left -= by * pictures.length;
    this.stamp += 1;
  }

  // What is seen

  private draw(): void {
    const [current] = this.queue.waiting;
    need("[data-empty]", this.root).hidden = current !== undefined;
    need("[data-one]", this.root).hidden = this.isGrid || !current;
    need("[data-grid]", this.root).hidden = !this.isGrid || !current;
    if (current && !this.isGrid) this.drawOne(current);
    if (this.isGrid || !current) need("[data-proposal]", this.root).hidden = true;
    if (this.isGrid) this.tiles.draw(this.queue.waiting.slice(0, TILES));
    this.drawClasses();
    need("[data-labelled]").textContent = number(this.labelled);
    need<HTMLProgressElement>("[data-progress]", this.root).value = this.labelled;
    need("[data-left-words]", this.root).textContent = number(Math.max(0, this.left));
  }

  private drawOne(picture: Picture): void {
    const figure = need("[data-picture]", this.root);
    const image = this.queue.image(picture);
    if (figure.firstElementChild !== image) figure.replaceChildren(image);
    need("[data-caption]", this.root).textContent = picture.path;
    need<HTMLInputElement>("[data-image-id]", this.root).value = picture.image_id;
    const present = need("[data-present]", this.root);
    present.hidden = picture.label === null && !picture.left_out;
    present.textContent = picture.left_out ? "left out" : `now ${picture.label ?? ""}`;
    const proposal = need("[data-proposal]", this.root);
    proposal.hidden = picture.proposal === null;
    need("[data-proposal-label]", proposal).textContent = picture.proposal?.label ?? "";
    need("[data-proposal-share]", proposal).textContent = picture.proposal ? `${Math.round(100 * picture.proposal.probability)} %` : "";
    const next = this.queue.waiting.slice(1, 6).map((other) => element("li", {}, thumbnail(other)));
    need("[data-next]", this.root).replaceChildren(...next);
  }

  private drawSelection(): void {
    const chosen = this.tiles.selection.chosen.size;
    if (chosen < this.tiles.selection.tiles.length) this.isAll = false;
    const words = need("[data-selected]", this.root);
    if (this.isAll) words.textContent = `All ${number(this.left)} pictures are selected.`;
    else words.textContent = chosen ? `${number(chosen)} selected` : "Click pictures, drag a box or press Ctrl+A; then a class.";
  }

  private drawClasses(): void {
    const list = need("[data-classes]", this.root);
    const buttons = new Map(all<HTMLButtonElement>("button", list).map((button) => [button.value, button]));
    const keys = this.root.dataset["keys"] ?? "";
    for (const [name, images] of this.counts) {
      const button = buttons.get(name);
      if (button) need(".number", button).textContent = number(images);
      else if (images > 0) list.append(element("li", {}, classButton(name, images, keys[buttons.size] ?? "")));
      if (!button && images > 0) buttons.set(name, need(`li:last-child button`, list));
    }
    need("[data-no-classes]", this.root).hidden = buttons.size > 0;
  }

  private turnView(): void {
    this.draw();
    if (this.isGrid) this.tiles.focus();
  }

  private selectAll(): void {
    this.isAll = true;
    this.tiles.selection.selectAll();
  }

  // Keys

  private actionOf(event: KeyboardEvent, target: Element | null, find: () => void): (() => void) | null {
    if (event.ctrlKey || event.metaKey) return event.key === "a" && this.isGrid ? () => this.selectAll() : null;
    if (event.key === "Enter") return target?.closest("a, button, summary") || this.isGrid ? null : () => this.accept();
    if (event.key === "ArrowRight" && !this.isGrid && !target?.closest("[role=listbox]")) return () => this.skip();
    if (event.key === "Escape" && this.tiles.selection.chosen.size) return () => this.tiles.selection.clear();
    if (event.shiftKey) return null;
    const actions: Record<string, () => void> = { s: () => this.skip(), x: () => this.give(null), v: () => this.views.toggle(), "/": find };
    const label = this.keyed.find(({ key }) => key === event.key);
    return actions[event.key] ?? (label ? () => this.give(label.name) : null);
  }

  private listKeys(): void {
    const nothing = (): void => undefined;
    bindKey("1", "The first class; 2 the second, and so on", nothing);
    bindKey("Enter", "Accept the suggestion", nothing);
    bindKey("s", "Skip", nothing);
    bindKey("x", "Leave out", nothing);
    bindKey("v", "One picture or many", nothing);
  }
}

/** Of everything that matched, which is more than what has been fetched: the server knows which pictures these are. */
const isOfAll = (action: Action): boolean => action.pictures.length === 0;

function tileOf(picture: Picture): HTMLElement {
  const words = picture.left_out ? "left out" : (picture.label ?? (picture.proposal ? `${picture.proposal.label}?` : ""));
  const alt = picture.label ? `labelled ${picture.label}` : "Picture without a label";
  return tile(picture, alt, element("span", { class: "tile-title" }, words));
}

function classButton(name: string, images: number, key: string): HTMLElement {
  return element(
    "button",
    { class: "button class-key", name: "label", value: name },
    element("kbd", {}, key),
    element("span", { class: "class-key-name" }, name),
    element("span", { class: "quiet number" }, number(images)),
  );
}

const root = find("[data-by-hand]");
if (root) new ByHandPage(root);
