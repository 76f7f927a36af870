import { announce, element, find, need } from "./lib/dom";
import { classFinder } from "./lib/class_finder";
import { api } from "./lib/http";
import { bindKey, decideByKeys } from "./lib/keys";
import { refreshAnew } from "./lib/live";
import { PictureQueue, PRELOADED, type Waiting } from "./lib/picture_queue";
import { ProblemBox } from "./lib/problem_box";
import { SaveQueue } from "./lib/save_queue";
import { type UndoBar, undoBar } from "./lib/undo_bar";

const AGAIN_MS = 2000;

interface Picture extends Waiting {
  label: string;
  split: string;
  why: string;
  choices: string[];
  thumbnail_url: string;
}

/** One decision of this sprint; a label that stays as it is was right. */
interface Decision {
  picture: Picture;
  label: string | null;
  batch: Promise<string | null>;
}

/** Thirty pictures, one key each: the next picture is there at once, and the change is saved behind it. */
class FixSprint {
  private readonly queue = new PictureQueue<Picture>();
  private readonly saves: SaveQueue;
  private readonly problem: ProblemBox;
  private readonly bar: UndoBar | null;
  private readonly done: Decision[] = [];
  private readonly undone: Decision[] = [];
  /** Whether each picture that was looked at before this sprint was wrong; only the last ones are known one by one. */
  private readonly before: { lookedAt: number; wrong: number; last: boolean[] };
  private readonly begun = Date.now();
  private readonly pictures: number;
  private skipped = 0;

  constructor(private readonly root: HTMLElement) {
    const data = root.dataset;
    this.before = JSON.parse(data["reviews"] ?? "{}") as typeof this.before;
    this.problem = new ProblemBox(root);
    this.saves = new SaveQueue(`/api/v1/datasets/${data["dataset"] ?? ""}/labels`, (open) => (need("[data-saving]", root).hidden = open === 0));
    this.bar = undoBar(() => location.reload(), { undo: () => void this.undo(), redo: () => void this.redo() });
    const names = JSON.parse(data["classes"] ?? "[]") as string[];
    const finder = classFinder(() => names, (name) => {
      if (!names.includes(name)) names.push(name);
      this.decide(name);
    });
    need<HTMLFormElement>("[data-fix-form]", root).addEventListener("submit", (event) => {
      event.preventDefault();
      const button = event.submitter as HTMLButtonElement | null;
      if (button?.name === "label") this.decide(button.value);
      else if (button?.value === "right") this.right();
      else if (button?.value === "drop") this.decide(null);
      else finder?.submit();
    });
    need("[data-unsure]", root).addEventListener("click", () => this.unsure());
    need("[data-finish]", root).addEventListener("click", () => void this.finish());
    need("[data-undo-all]", root).addEventListener("click", () => void this.undoAll());
    decideByKeys((event, target) => this.actionOf(event, target, () => finder?.open()));
    this.listKeys();
    this.queue.bringBack(JSON.parse(data["first"] ?? "[]") as Picture[]);
    this.pictures = this.queue.waiting.length;
    this.draw();
  }

  private get current(): Picture | undefined {
    return this.queue.waiting[0];
  }

  private get changed(): Decision[] {
    return this.done.filter((decision) => decision.label !== decision.picture.label);
  }

  // Decisions

  private right(): void {
    if (this.current) this.decide(this.current.label);
  }

  private unsure(): void {
    if (!this.current) return;
    this.queue.take(new Set([this.current.image_id]));
    this.skipped += 1;
    this.next();
  }

  private decide(label: string | null): void {
    const [picture] = this.queue.take(new Set(this.current ? [this.current.image_id] : []));
    if (!picture) return announce("No picture is left in this sprint.");
    this.undone.length = 0;
    this.store({ picture, label, batch: Promise.resolve(null) });
  }

  private store(decision: Decision, isAgain = false): void {
    const { picture, label } = decision;
    const change = { image_id: picture.image_id, label, confirmed: true, ...(isAgain ? {} : { before: picture.label }) };
    const saved = this.saves.save({ changes: [change], reason: this.root.dataset["reason"], run_id: this.root.dataset["run"] });
    decision.batch = saved.then((changed) => changed.batch_id, () => null);
    saved.then(
      (changed) => this.bar?.show(changed.message),
      (reason: unknown) => this.refused(decision, reason),
    );
    this.done.push(decision);
    this.problem.hide();
    this.next();
  }

  /** The picture comes back with the reason. */
  private refused(decision: Decision, reason: unknown): void {
    this.takeBack(decision);
    const ids = new Set([decision.picture.image_id]);
    this.problem.show(reason, {
      mine: () => {
        this.queue.take(ids);
        this.store(decision, true);
      },
      theirs: () => {
        this.queue.take(ids);
        this.next();
      },
    });
  }

  private takeBack(decision: Decision): void {
    const place = this.done.indexOf(decision);
    if (place >= 0) this.done.splice(place, 1);
    this.queue.bringBack([decision.picture]);
    this.draw();
  }

  private async undo(): Promise<void> {
    const decision = this.done.at(-1);
    if (!decision) return announce("Nothing of this sprint is left to undo.");
    // What is taken back is seen at once; the server hears of it when it has heard of the change.
    this.takeBack(decision);
    const batch = await decision.batch;
    if (batch && (await this.bar?.undoBatch(batch))) this.undone.push(decision);
  }

  private async redo(): Promise<void> {
    const decision = this.undone.pop();
    const batch = await decision?.batch;
    if (!decision || !batch || !(await this.bar?.redoBatch(batch))) return;
    this.queue.take(new Set([decision.picture.image_id]));
    this.done.push(decision);
    this.next();
  }

  private async undoAll(): Promise<void> {
    while (this.done.length) await this.undo();
    await refreshAnew();
  }

  private next(): void {
    this.draw();
    if (!this.current) void this.finish();
  }

  /** What came of it, and the button that trains again, as soon as all is stored. */
  private async finish(): Promise<void> {
    const seconds = Math.round((Date.now() - this.begun) / 1000);
    const time = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
    const words = `You looked at ${counted(this.done.length, "picture")} and changed ${counted(this.changed.length, "label")} in ${time}.`;
    need("[data-finished-words]", this.root).textContent = words;
    need("[data-finished]", this.root).hidden = false;
    // How many changes there are since the run, from the server: others may have changed labels as well.
    await this.saves.done;
    await refreshAnew();
  }

  // What is seen

  private draw(): void {
    const picture = this.current;
    need("[data-fix-form]", this.root).hidden = !picture;
    need("[data-finished]", this.root).hidden = picture !== undefined;
    need("[data-finish]", this.root).hidden = !picture;
    const left = this.done.filter((decision) => decision.label === null).length;
    const counts = [`${this.done.length - this.changed.length} right`, `${this.changed.length - left} relabelled`, `${left} left out`];
    if (this.skipped) counts.push(`${this.skipped} unsure`);
    need("[data-counts]", this.root).textContent = counts.join(", ");
    const position = this.pictures - this.queue.waiting.length;
    need("[data-position]", this.root).textContent = `${Math.min(position + 1, this.pictures)} of ${this.pictures}`;
    need<HTMLProgressElement>("[data-progress]", this.root).value = position;
    need("[data-undo-all]", this.root).hidden = this.done.length === 0;
    this.drawReviews();
    if (picture) this.drawPicture(picture);
  }

  private drawPicture(picture: Picture): void {
    const figure = need("[data-picture]", this.root);
    const image = this.queue.image(picture);
    if (figure.firstElementChild !== image) figure.replaceChildren(image);
    need("[data-caption]", this.root).textContent = picture.path;
    need<HTMLInputElement>("[data-image-id]", this.root).value = picture.image_id;
    need<HTMLInputElement>("[data-before]", this.root).value = picture.label;
    need("[data-label]", this.root).textContent = picture.label;
    need("[data-why]", this.root).textContent = picture.why;
    need("[data-held-out]", this.root).hidden = picture.split === "train";
    need("[data-choices]", this.root).replaceChildren(...picture.choices.map((name, place) => element("li", {}, choice(name, place + 1))));
    const next = this.queue.waiting.slice(1, PRELOADED + 1).map((other) => {
      const thumb = element("img", { class: "thumb", src: other.thumbnail_url, alt: "", width: "192", height: "192", decoding: "async" });
      return element("li", {}, thumb);
    });
    need("[data-next]", this.root).replaceChildren(...next);
  }

  private drawReviews(): void {
    const mine = this.done.map((decision) => decision.label !== decision.picture.label);
    const lookedAt = this.before.lookedAt + mine.length;
    const wrong = this.before.wrong + mine.filter(Boolean).length;
    const words = need("[data-reviews-words]", this.root);
    words.hidden = lookedAt === 0;
    words.textContent = ` · ${wrong} of the ${lookedAt} looked at ${wrong === 1 ? "was" : "were"} wrong`;
    const many = Number(this.root.dataset["last"]);
    const last = [...this.before.last, ...mine].slice(-many);
    need("[data-enough]", this.root).hidden = last.length < many || last.filter(Boolean).length > Number(this.root.dataset["few"]);
  }

  // Keys

  private actionOf(event: KeyboardEvent, target: Element | null, find: () => void): (() => void) | null {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return null;
    const [first] = this.current?.choices ?? [];
    if (event.key === "Enter") return target?.closest("a, button, summary") || first === undefined ? null : () => this.decide(first);
    const actions: Record<string, () => void> = {
      k: () => this.right(),
      x: () => this.decide(null),
      u: () => this.unsure(),
      "/": find,
    };
    const chosen = /^[1-9]$/.test(event.key) ? this.current?.choices[Number(event.key) - 1] : undefined;
    return actions[event.key] ?? (chosen === undefined ? null : () => this.decide(chosen));
  }

  private listKeys(): void {
    const nothing = (): void => undefined;
    bindKey("k", "The label is right", nothing);
    bindKey("1", "The first proposed class; 2 the second, 3 the third", nothing);
    bindKey("Enter", "The first proposed class", nothing);
    bindKey("x", "Leave out", nothing);
    bindKey("u", "Unsure, later", nothing);
  }
}

const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`;

const choice = (name: string, key: number): HTMLElement =>
  element("button", { class: "button class-key", name: "label", value: name }, element("kbd", {}, String(key)), element("span", { class: "class-key-name" }, name));

/** Suspects of a large set take some seconds: the page is shown again when they are there. */
async function waitForSuspects(run: string): Promise<void> {
  const answer = await api<{ status: string }>(`/api/v1/runs/${run}/suspects?limit=1`).catch(() => null);
  if (answer?.status === "ready") location.reload();
  else window.setTimeout(() => void waitForSuspects(run), AGAIN_MS);
}

const root = find("[data-fix]");
if (root) new FixSprint(root);
const computing = find("[data-computing]");
if (computing) void waitForSuspects(computing.dataset["computing"] ?? "");
