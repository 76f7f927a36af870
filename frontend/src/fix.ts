import { announce, find, need } from "./lib/dom";
import { classFinder } from "./lib/class_finder";
import { FixQueue, type Picture, type Pictures } from "./lib/fix_queue";
import { FixView } from "./lib/fix_view";
import { counted } from "./lib/format";
import { ApiError } from "./lib/http";
import { bindKey, decideByKeys } from "./lib/keys";
import { refreshAnew } from "./lib/live";
import { ProblemBox } from "./lib/problem_box";
import { SaveQueue } from "./lib/save_queue";
import { type UndoBar, undoBar } from "./lib/undo_bar";
import { ViewSwitch } from "./lib/view_switch";
import { waitForSuspects } from "./lib/wait_for_suspects";

/** A picture and the label that it was given: the one it had was right, null leaves it out. */
interface Given {
  picture: Picture;
  label: string | null;
}

/** One action of this sprint, about one picture or many. What is unsure is not stored, so it has no batch. */
interface Decision {
  given: Given[];
  isUnsure: boolean;
  batch: Promise<string | null>;
}

/** Thirty pictures, one key each or one for many: the next are there at once, and the change is saved behind them. */
class FixSprint {
  private readonly queue: FixQueue;
  private readonly view: FixView;
  private readonly views: ViewSwitch;
  private readonly saves: SaveQueue;
  private readonly problem: ProblemBox;
  private readonly bar: UndoBar | null;
  private readonly done: Decision[] = [];
  private readonly undone: Decision[] = [];
  /** Whether each picture that was looked at before this sprint was wrong; only the last ones are known one by one. */
  private readonly before: { lookedAt: number; wrong: number; last: boolean[] };
  private readonly begun = Date.now();

  constructor(private readonly root: HTMLElement) {
    const data = root.dataset;
    this.before = JSON.parse(data["reviews"] ?? "{}") as typeof this.before;
    this.queue = new FixQueue(data["path"] ?? "", JSON.parse(data["first"] ?? "{}") as Pictures);
    this.views = new ViewSwitch(root, "tellapart-fix-view", () => this.turnView());
    this.view = new FixView(root, this.queue, () => this.views.isGrid);
    this.problem = new ProblemBox(root);
    this.saves = new SaveQueue(`/api/v1/datasets/${data["dataset"] ?? ""}/labels`, (open) => (need("[data-saving]", root).hidden = open === 0));
    this.bar = undoBar(() => location.reload(), { undo: () => void this.undo(), redo: () => void this.redo() });
    const names = JSON.parse(data["classes"] ?? "[]") as string[];
    const finder = classFinder(() => names, (name) => {
      if (!names.includes(name)) names.push(name);
      this.decide(() => name);
      if (this.views.isGrid) this.view.focus();
    });
    need<HTMLFormElement>("[data-fix-form]", root).addEventListener("submit", (event) => {
      event.preventDefault();
      const button = event.submitter as HTMLButtonElement | null;
      if (button?.name === "label") this.decide(() => button.value);
      else if (button?.value === "right") this.right();
      else if (button?.value === "drop") this.decide(() => null);
      else finder?.submit();
    });
    need("[data-unsure]", root).addEventListener("click", () => this.unsure(this.view.meant));
    need("[data-accept]", root).addEventListener("click", () => this.accept());
    need("[data-select-all]", root).addEventListener("click", () => this.view.tiles.selection.selectAll());
    need("[data-finish]", root).addEventListener("click", () => void this.finish());
    need("[data-undo-all]", root).addEventListener("click", () => void this.undoAll());
    need("[data-turn]", root).addEventListener("click", (event) => this.queue.hasNext && (event.preventDefault(), void this.turn()));
    decideByKeys((event, target) => this.actionOf(event, target, () => (this.view.tiles.holdFocused(), finder?.open())));
    this.listKeys();
    this.draw();
    if (this.views.isGrid) this.view.focus();
    this.queue.lookAhead();
  }

  private get looked(): Given[] {
    return this.done.flatMap((decision) => (decision.isUnsure ? [] : decision.given));
  }

  // Decisions

  private right(): void {
    this.decide((picture) => picture.label);
  }

  /** Each picture gets its own proposal; one without a proposal stays. */
  private accept(): void {
    this.decide((picture) => picture.choices[0]);
  }

  private unsure(pictures: readonly Picture[]): void {
    if (!pictures.length) return announce(this.nothing);
    this.undone.length = 0;
    this.take({ given: pictures.map((picture) => ({ picture, label: picture.label })), isUnsure: true, batch: Promise.resolve(null) });
  }

  private decide(labelOf: (picture: Picture) => string | null | undefined): void {
    const meant = this.view.meant;
    const given = meant.flatMap((picture) => {
      const label = labelOf(picture);
      return label === undefined ? [] : [{ picture, label }];
    });
    if (!given.length) return announce(meant.length ? "No class is proposed here. Press / to find one." : this.nothing);
    if (given.length < meant.length) announce(`${counted(meant.length - given.length, "picture")} without a proposal stayed.`);
    this.undone.length = 0;
    this.store({ given, isUnsure: false, batch: Promise.resolve(null) });
  }

  private get nothing(): string {
    return this.queue.waiting.length ? "Select pictures first." : "No picture is left in this sprint.";
  }

  private store(decision: Decision, isAgain = false): void {
    const changes = decision.given.map(({ picture, label }) => ({ image_id: picture.image_id, label, confirmed: true, ...(isAgain ? {} : { before: picture.label }) }));
    const saved = this.saves.save({ changes, reason: this.root.dataset["reason"], run_id: this.root.dataset["run"] });
    decision.batch = saved.then((changed) => changed.batch_id, () => null);
    saved.then(
      (changed) => {
        this.bar?.show(changed.message);
        this.follow();
      },
      (reason: unknown) => this.refused(decision, reason),
    );
    this.problem.hide();
    this.take(decision);
  }

  /** What was decided about is gone from the page. */
  private take(decision: Decision): void {
    this.queue.take(idsOf(decision));
    this.done.push(decision);
    this.next();
  }

  /** The pictures come back with the reason; theirs counts for one picture, the others are stored all the same. */
  private refused(decision: Decision, reason: unknown): void {
    this.takeBack(decision);
    const theirs = reason instanceof ApiError ? reason.details["image_id"] : null;
    this.problem.show(reason, {
      mine: () => this.store(decision, true),
      theirs: () => {
        this.queue.take(new Set([String(theirs)]));
        const given = decision.given.filter(({ picture }) => picture.image_id !== theirs);
        if (given.length) this.store({ ...decision, given });
        else this.next();
      },
    });
  }

  private takeBack(decision: Decision): void {
    const place = this.done.indexOf(decision);
    if (place >= 0) this.done.splice(place, 1);
    this.queue.bringBack(decision.given.map(({ picture }) => picture));
    this.draw();
  }

  private async undo(): Promise<void> {
    const decision = this.done.at(-1);
    if (!decision) return announce("Nothing of this sprint is left to undo.");
    // What is taken back is seen at once; the server hears of it when it has heard of the change.
    this.takeBack(decision);
    const batch = await decision.batch;
    if (!decision.isUnsure && !(batch && (await this.bar?.undoBatch(batch)))) return;
    this.undone.push(decision);
    this.follow();
  }

  private async redo(): Promise<void> {
    const decision = this.undone.pop();
    if (!decision) return;
    const batch = await decision.batch;
    if (!decision.isUnsure && !(batch && (await this.bar?.redoBatch(batch)))) return;
    this.take(decision);
    this.follow();
  }

  /** The bar that says how many changes there are since the run; one by one it would push the picture about. */
  private follow(): void {
    if (this.views.isGrid) void refreshAnew();
  }

  private async undoAll(): Promise<void> {
    while (this.done.length) await this.undo();
    await refreshAnew();
  }

  /** On to the next pictures, which are there already; those that are left here stay undecided. */
  private async turn(): Promise<void> {
    if (!this.queue.hasNext) return announce("There are no further pictures.");
    const { waiting } = this.queue;
    try {
      await this.queue.turn();
    } catch (reason) {
      return this.problem.show(reason);
    }
    if (waiting.length) this.done.push({ given: waiting.map((picture) => ({ picture, label: picture.label })), isUnsure: true, batch: Promise.resolve(null) });
    this.draw();
    this.view.focus();
  }

  private next(): void {
    this.draw();
    if (!this.queue.waiting.length) void this.finish();
  }

  /** What came of it, and the button that trains again, as soon as all is stored. */
  private async finish(): Promise<void> {
    const seconds = Math.round((Date.now() - this.begun) / 1000);
    const time = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
    const changed = this.looked.filter(isChanged).length;
    need("[data-finished-words]", this.root).textContent = `You looked at ${counted(this.looked.length, "picture")} and changed ${counted(changed, "label")} in ${time}.`;
    need("[data-finished]", this.root).hidden = false;
    if (!this.queue.hasNext) need("[data-turn]", this.root).textContent = "Look again";
    // How many changes there are since the run, from the server: others may have changed labels as well.
    await this.saves.done;
    await refreshAnew();
  }

  // What is seen

  private draw(): void {
    const { length } = this.queue.waiting;
    need("[data-fix-form]", this.root).hidden = !length;
    need("[data-finished]", this.root).hidden = length > 0;
    need("[data-finish]", this.root).hidden = !length;
    const { looked } = this;
    const changed = looked.filter(isChanged);
    const left = changed.filter(({ label }) => label === null).length;
    const unsure = this.done.reduce((sum, { given, isUnsure }) => sum + (isUnsure ? given.length : 0), 0);
    const counts = [`${looked.length - changed.length} right`, `${changed.length - left} relabelled`, `${left} left out`];
    if (unsure) counts.push(`${unsure} unsure`);
    need("[data-counts]", this.root).textContent = counts.join(", ");
    const position = looked.length + unsure;
    const pictures = position + length;
    need("[data-position]", this.root).textContent = `${Math.min(position + 1, pictures)} of ${pictures}`;
    Object.assign(need<HTMLProgressElement>("[data-progress]", this.root), { max: pictures, value: position });
    need("[data-undo-all]", this.root).hidden = this.done.length === 0;
    this.drawReviews(looked.map(isChanged));
    if (length) this.view.draw();
  }

  private drawReviews(mine: boolean[]): void {
    const lookedAt = this.before.lookedAt + mine.length;
    const wrong = this.before.wrong + mine.filter(Boolean).length;
    const words = need("[data-reviews-words]", this.root);
    words.hidden = lookedAt === 0;
    words.textContent = ` · ${wrong} of the ${lookedAt} looked at ${wrong === 1 ? "was" : "were"} wrong`;
    const many = Number(this.root.dataset["last"]);
    const last = [...this.before.last, ...mine].slice(-many);
    need("[data-enough]", this.root).hidden = last.length < many || last.filter(Boolean).length > Number(this.root.dataset["few"]);
  }

  /** One by one begins with the picture that had the focus in the grid. */
  private turnView(): void {
    const { focused, chosen } = this.view.tiles.selection;
    const looked = focused ?? [...chosen][0];
    const [picture] = this.views.isGrid ? [] : this.queue.waiting.filter(({ image_id }) => image_id === looked);
    if (picture) this.queue.bringBack([picture]);
    this.draw();
    this.view.focus();
  }

  // Keys

  private actionOf(event: KeyboardEvent, target: Element | null, find: () => void): (() => void) | null {
    const { isGrid } = this.views;
    const { selection } = this.view.tiles;
    if (event.ctrlKey || event.metaKey) return event.key === "a" && isGrid ? () => selection.selectAll() : null;
    if (event.key === "Escape" && isGrid && selection.chosen.size) return () => selection.clear();
    if (event.shiftKey) return null;
    if (event.key === "Enter") return target?.closest("a, button, summary") || !this.queue.waiting.length ? null : () => this.accept();
    const actions: Record<string, () => void> = {
      k: () => this.right(),
      x: () => this.decide(() => null),
      u: () => this.unsure(this.view.meant),
      v: () => this.views.toggle(),
      n: () => void this.turn(),
      "/": find,
    };
    const chosen = /^[1-9]$/.test(event.key) ? this.view.choices[Number(event.key) - 1] : undefined;
    return actions[event.key] ?? (chosen === undefined ? null : () => this.decide(() => chosen));
  }

  private listKeys(): void {
    const nothing = (): void => undefined;
    bindKey("k", "The label is right", nothing);
    bindKey("1", "The first proposed class; 2 the second, 3 the third", nothing);
    bindKey("Enter", "The first proposed class, of many pictures each its own", nothing);
    bindKey("x", "Leave out", nothing);
    bindKey("u", "Unsure, later", nothing);
    bindKey("v", "One picture or many", nothing);
    bindKey("n", "Next pictures", nothing);
  }
}

const isChanged = ({ picture, label }: Given): boolean => label !== picture.label;

const idsOf = (decision: Decision): Set<string> => new Set(decision.given.map(({ picture }) => picture.image_id));

const root = find("[data-fix]");
if (root) new FixSprint(root);
const computing = find("[data-computing]");
if (computing) void waitForSuspects(computing.dataset["computing"] ?? "");
