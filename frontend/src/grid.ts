import htmx from "htmx.org";
import { all, announce, find, need } from "./lib/dom";
import { counted } from "./lib/format";
import { ApiError, api, request } from "./lib/http";
import { bindKey } from "./lib/keys";
import { PictureList } from "./lib/picture_list";
import { PictureSelection } from "./lib/picture_selection";
import { offerUndo } from "./lib/undo";
import { VirtualGrid } from "./lib/virtual_grid";

const PANEL_WAIT_MS = 120;
/** More pictures than one request may name; beyond that only a filter selects them. */
const MOST_IDS = 20_000;

interface Deleted {
  deleted: number;
  skipped: number;
  bin_id: string | null;
}

/** The pictures of a dataset: scrolled without end, selected as in a file manager, deleted with a way back. */
class Browser {
  private readonly list: HTMLElement;
  private readonly pictures: PictureList;
  private readonly selection: PictureSelection;
  private grid: VirtualGrid | null = null;
  private active = -1;
  private anchor = -1;
  private panelTimer = 0;
  private panelShows = "";
  /** What was chosen last, which may have to wait for its picture; what comes after it waits as well. */
  private choices: Promise<void> = Promise.resolve();

  constructor(private readonly form: HTMLFormElement) {
    const data = form.dataset;
    this.list = need("[data-grid-list]", form);
    this.selection = new PictureSelection(data["query"] ?? "");
    const total = Number(data["total"]);
    this.pictures = new PictureList(data["list"] ?? "", data["query"] ?? "", total, data["exact"] === "true", data["after"] ?? "", () => this.changed());
    find("[data-grid-panel]")?.removeAttribute("hidden");
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-multiselectable", "true");
    this.list.tabIndex = 0;
    // The server's own tiles stay in sight until the first page is here.
    void this.pictures.need(0, 0).then(() => this.begin());
  }

  private begin(): void {
    const marks = { isSelected: (id: string) => this.selection.has(id), isActive: (index: number) => index === this.active };
    this.grid = new VirtualGrid(this.list, this.pictures, marks);
    find("[data-grid-pager]", this.form)?.remove();
    find("[data-grid-searching]", this.form)?.remove();
    this.listen();
    this.bindKeys(this.grid);
    this.changed();
    const kept = (history.state as { first?: number } | null)?.first;
    if (kept) this.grid.scrollTo(kept, "start");
    window.addEventListener("pagehide", () => history.replaceState({ first: this.grid?.firstInSight }, ""));
  }

  // What is shown

  private changed(): void {
    if (!this.grid) return; // the first page, of which it is made
    this.grid.refresh();
    this.drawBar();
    const heading = find("[data-grid-count]");
    if (heading) heading.textContent = this.countWords();
  }

  private countWords(): string {
    if (this.pictures.isComplete) return counted(this.pictures.length, "picture");
    return `${counted(this.pictures.length, "picture")} so far`;
  }

  private drawBar(): void {
    const count = this.selection.count(this.pictures.length);
    const isUnknown = this.selection.isOfFilter && !this.pictures.isComplete;
    const words = isUnknown ? "All pictures that match are selected" : `${counted(count, "picture")} selected`;
    need("[data-selected]", this.form).textContent = this.selection.isEmpty ? "Click pictures to select them" : words;
    for (const button of all<HTMLButtonElement>("[data-bulk]", this.form)) button.disabled = this.selection.isEmpty;
    need("[data-select-all]", this.form).hidden = this.selection.isOfFilter;
    need("[data-select-none]", this.form).hidden = this.selection.isEmpty;
    this.grid?.mark();
  }

  private activate(index: number): void {
    this.active = index;
    this.list.setAttribute("aria-activedescendant", `cell-${index}`);
    this.grid?.scrollTo(index);
    this.grid?.mark();
    window.clearTimeout(this.panelTimer);
    this.panelTimer = window.setTimeout(() => void this.showPanel(index), PANEL_WAIT_MS);
  }

  private async showPanel(index: number): Promise<void> {
    const panel = find("[data-grid-panel]");
    const id = this.pictures.at(index)?.id;
    if (!panel || !id || panel.offsetParent === null || id === this.panelShows) return;
    this.panelShows = id;
    const response = await request(this.pageOf(id), { headers: { "HX-Request": "true" } }).catch(() => null);
    if (response?.ok && this.panelShows === id) await htmx.swap({ text: await response.text(), target: panel, swap: "innerHTML" });
  }

  private pageOf(id: string): string {
    const query = this.form.dataset["query"];
    return `${this.form.dataset["pages"]}/${id}${query ? `?${query}` : ""}`;
  }

  // Choosing

  private listen(): void {
    this.list.addEventListener("click", (event) => {
      const index = indexOf(event.target);
      if (index === null) return;
      const isMark = event.target instanceof Element && event.target.closest(".cell-mark") !== null;
      const isTouch = event instanceof PointerEvent && event.pointerType === "touch";
      if (event.shiftKey) this.selectRange(index, event.ctrlKey || event.metaKey);
      else if (isMark || event.ctrlKey || event.metaKey || (isTouch && !this.selection.isEmpty)) this.toggle(index);
      else if (isTouch) this.open(index);
      else this.select(index);
    });
    this.list.addEventListener("dblclick", (event) => {
      const index = indexOf(event.target);
      if (index !== null) this.open(index);
    });
    this.list.addEventListener("focus", () => this.active < 0 && this.activate(this.grid?.firstInSight ?? 0));
    need("[data-select-all]", this.form).addEventListener("click", () => this.selectAll());
    need("[data-select-none]", this.form).addEventListener("click", () => this.clear());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const bulk = event.submitter?.dataset["bulk"];
      if (bulk === "delete") this.remove();
    });
  }

  private bindKeys(grid: VirtualGrid): void {
    this.list.addEventListener("keydown", (event) => this.move(event, grid));
    bindKey("Control+a", "Select all pictures that match", (event) => {
      event.preventDefault();
      this.selectAll();
    });
    const isBusy = (): boolean => document.querySelector("dialog[open]") !== null;
    bindKey("Delete", "Delete the selected pictures", () => !isBusy() && this.remove());
    bindKey("Escape", "Select nothing", () => !isBusy() && this.clear());
  }

  private move(event: KeyboardEvent, grid: VirtualGrid): void {
    const [columns, end] = [grid.columnCount, this.pictures.length - 1];
    const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    steps["PageDown"] = columns * grid.rowsInSight;
    steps["PageUp"] = -steps["PageDown"];
    const ends: Record<string, number> = { Home: 0, End: end };
    const step = steps[event.key];
    const next = ends[event.key] ?? (step === undefined ? null : Math.min(end, Math.max(0, this.active + step)));
    if (next !== null) {
      if (event.shiftKey) this.selectRange(next, false);
      else if (event.ctrlKey || event.metaKey) this.activate(next);
      else this.select(next);
    } else if (event.key === " ") this.toggle(this.active);
    else if (event.key === "Enter") this.open(this.active);
    else return;
    event.preventDefault();
  }

  private select(index: number): void {
    this.anchor = index;
    this.activate(index);
    this.choose(async () => this.selection.only(await this.ids(index, index)));
  }

  private toggle(index: number): void {
    this.anchor = index;
    this.activate(index);
    this.choose(async () => (await this.ids(index, index)).forEach((id) => this.selection.toggle(id)));
  }

  private selectRange(index: number, isAdded: boolean): void {
    if (this.anchor < 0) return this.select(index);
    const [first, last] = [Math.min(this.anchor, index), Math.max(this.anchor, index)];
    this.activate(index);
    if (last - first >= MOST_IDS) return announce(`At most ${counted(MOST_IDS, "picture")} can be selected one by one. Ctrl+A selects all that match.`);
    this.choose(async () => {
      const ids = await this.ids(first, last);
      if (isAdded) this.selection.add(ids);
      else this.selection.only(ids);
    });
  }

  private selectAll(): void {
    this.choose(() => this.selection.all());
    void this.choices.then(() => announce(need("[data-selected]", this.form).textContent ?? ""));
  }

  private clear(): void {
    this.choose(() => this.selection.clear());
  }

  /**
   * Choices take effect in their order, though some wait until their pictures have been fetched. Where that fails nothing
   * stays selected: what comes next must not be done to other pictures than those that were meant.
   */
  private choose(act: () => void | Promise<void>): void {
    this.choices = this.choices.then(act).catch((reason: unknown) => {
      this.selection.clear();
      announce(reason instanceof ApiError ? reason.sentence : "The pictures couldn't be fetched, so none is selected.");
    });
    void this.choices.then(() => this.drawBar());
  }

  private async ids(first: number, last: number): Promise<string[]> {
    return (await this.pictures.slice(first, last)).map((picture) => picture.id);
  }

  private open(index: number): void {
    const picture = this.pictures.at(index);
    if (picture) location.assign(this.pageOf(picture.id));
  }

  // Bulk actions. Another one takes `this.selection.body` just as this one does, and offers its undo.

  private remove(): void {
    this.choices = this.choices.then(() => this.removeChosen());
  }

  private async removeChosen(): Promise<void> {
    if (this.selection.isEmpty) return;
    try {
      const answer = await api<Deleted>(this.form.dataset["list"] ?? "", { method: "DELETE", body: this.selection.body });
      this.selection.clear();
      this.pictures.reset(-answer.deleted);
      const skipped = answer.skipped ? ` ${counted(answer.skipped, "picture")} skipped: not in the dataset any more.` : "";
      const words = `${counted(answer.deleted, "picture")} moved to the bin.${skipped}`;
      const { bin_id: id } = answer;
      if (id) offerUndo(words, () => this.restore(id, answer.deleted));
      else announce(words);
    } catch (reason) {
      announce(reason instanceof ApiError ? reason.sentence : "The pictures couldn't be deleted.");
    }
  }

  private async restore(binId: string, count: number): Promise<void> {
    try {
      await api(`/api/v1/bin/${binId}/restore`, { method: "POST" });
      this.pictures.reset(count);
      announce(`${counted(count, "picture")} restored.`);
    } catch (reason) {
      announce(reason instanceof ApiError ? reason.sentence : "The pictures couldn't be restored.");
    }
  }
}

function indexOf(target: EventTarget | null): number | null {
  const cell = target instanceof Element ? target.closest<HTMLElement>("[data-index]") : null;
  return cell ? Number(cell.dataset["index"]) : null;
}

/** Filters apply as they are changed; empty ones stay out of the address. */
function setUpFilters(form: HTMLFormElement): void {
  find("[data-apply]", form)?.setAttribute("hidden", "");
  form.addEventListener("change", () => form.requestSubmit());
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

const filters = find<HTMLFormElement>("[data-grid-filters]");
if (filters) setUpFilters(filters);
const form = find<HTMLFormElement>("[data-grid]");
if (form) new Browser(form);
