import htmx from "htmx.org";
import { all, announce, element, find, need } from "./lib/dom";
import { classFinder } from "./lib/class_finder";
import { resolver } from "./lib/colours";
import { counted, number } from "./lib/format";
import { ApiError, address, api, request } from "./lib/http";
import { bindKey, lettersAct } from "./lib/keys";
import { MapCanvas } from "./lib/map_canvas";
import { type Entry, legendOf, rgbOf } from "./lib/map_colours";
import { GONE, type MapPoints, type Values, fetchPoints } from "./lib/map_points";
import { SaveQueue } from "./lib/save_queue";
import { undoBar } from "./lib/undo_bar";

const AGAIN_MS = 1500;
const SETTLES_MS = 150;
/** Pictures whose labels one request may change. */
const MOST_CHANGES = 19_000;
const TILES = 60;
/** Pictures that the address of the grid may name. */
const MOST_IDS = 200;
const STRAYS = 12;
const REASON = "map";

interface Standing {
  status: "unavailable" | "none" | "waiting" | "computing" | "cancelled" | "failed" | "ready";
  message: string;
  view: string;
  key: string;
  share: number;
}

interface Strays {
  label: string;
  among: string;
  images: number[];
}

/** The map of a dataset: coloured, moved, selected from, and what is selected is relabelled or left out. */
class MapPage {
  private readonly canvas: MapCanvas;
  private readonly saves: SaveQueue;
  private readonly path: string;
  private readonly bar = undoBar(() => void this.renew());
  private points: MapPoints | null = null;
  private standing: Standing | null = null;
  private shownView = "";
  private values: Values = { names: [], of: new Int32Array() };
  private labels: Values = { names: [], of: new Int32Array() };
  private selected = new Uint8Array();
  private picked: number | null = null;
  private asked = 0;
  private panelTimer = 0;
  private panelShows = "";

  constructor(private readonly root: HTMLElement) {
    this.path = root.dataset["path"] ?? "";
    this.saves = new SaveQueue(root.dataset["labels"] ?? "", () => undefined);
    this.canvas = new MapCanvas({
      pointed: (index, x, y) => this.hover(index, x, y),
      activated: (index) => this.activated(index),
      selected: (indices, isAdded) => this.select(indices, isAdded),
      toggled: (index) => this.toggle(index),
      opened: (index) => location.assign(this.pageOf(index)),
    });
    this.listen();
    this.bindKeys();
    void this.begin();
  }

  private listen(): void {
    const { root } = this;
    const finder = classFinder(() => this.labels.names, (name) => void this.give(name));
    need<HTMLFormElement>("[data-map-form]", root).addEventListener("submit", (event) => {
      event.preventDefault();
      finder?.submit();
    });
    need("[data-map-drop]", root).addEventListener("click", () => void this.give(null));
    need("[data-map-clear]", root).addEventListener("click", () => this.clear());
    need("[data-map-stop]", root).addEventListener("click", () => void this.arrange("DELETE"));
    need("[data-map-start]", root).addEventListener("click", () => void this.arrange("POST"));
    need("[data-map-select-class]", root).addEventListener("click", () => this.selectPicked());
    for (const button of all("[data-map-mode]", root)) button.addEventListener("click", () => this.canvas.setMode(button.dataset["mapMode"] === "lasso" ? "lasso" : "move"));
    for (const button of all("[data-map-zoom]", root)) button.addEventListener("click", () => this.canvas.zoom(button.dataset["mapZoom"] ?? "fit"));
    need("[data-map-by]", root).addEventListener("change", () => void this.colour());
    find("[data-map-run]", root)?.addEventListener("change", () => void this.colour());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || !lettersAct() || isTyping(event.target)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      finder?.open();
    }, true);
  }

  private bindKeys(): void {
    const isBusy = (): boolean => document.querySelector("dialog[open]") !== null;
    bindKey("l", "Lasso, or move", () => this.canvas.setMode(this.canvas.mode === "lasso" ? "move" : "lasso"));
    bindKey("x", "Leave out what is selected", () => !isBusy() && void this.give(null));
    bindKey("Escape", "Select nothing", () => !isBusy() && this.clear());
  }

  // The map itself

  private async begin(): Promise<void> {
    await this.look();
    if (this.standing?.status === "none") await this.arrange("POST");
  }

  /** How the map stands; asked for again while it is being arranged. */
  private async look(): Promise<void> {
    try {
      await this.show(await api<Standing>(this.path));
    } catch (reason) {
      this.say(reason);
    }
    if (["waiting", "computing"].includes(this.standing?.status ?? "")) window.setTimeout(() => void this.look(), AGAIN_MS);
  }

  private async arrange(method: string): Promise<void> {
    try {
      await this.show(await api<Standing>(`${this.path}/arrangement`, { method }));
    } catch (reason) {
      this.say(reason);
    }
    if (method === "POST") window.setTimeout(() => void this.look(), AGAIN_MS);
  }

  private async show(standing: Standing): Promise<void> {
    this.standing = standing;
    const isUnderWay = standing.status === "waiting" || standing.status === "computing";
    need("[data-map-message]", this.root).textContent = standing.message;
    const progress = need<HTMLProgressElement>("[data-map-progress]", this.root);
    progress.hidden = !isUnderWay;
    progress.value = standing.share;
    need("[data-map-stop]", this.root).hidden = !isUnderWay;
    need("[data-map-start]", this.root).hidden = !["cancelled", "failed"].includes(standing.status);
    const view = `${standing.key} ${standing.view}`;
    if (!standing.key || view === this.shownView) return;
    this.shownView = view;
    const points = await fetchPoints(`${this.path}/positions?key=${standing.key}&view=${standing.view}`);
    if (this.points?.length !== points.length) this.selected = new Uint8Array(points.length);
    this.points = points;
    this.canvas.setPoints(points);
    this.canvas.setSelected(this.selected);
    await this.renew();
  }

  /** What may have changed with the labels. */
  private async renew(): Promise<void> {
    await Promise.all([this.colour(), this.findStrays()]);
  }

  private async colour(): Promise<void> {
    const by = need<HTMLSelectElement>("[data-map-by]", this.root).value;
    const runField = find("[data-map-run-field]", this.root);
    const needsRun = by === "result" || by === "predicted";
    if (runField) runField.hidden = !needsRun;
    const run = needsRun ? (find<HTMLSelectElement>("[data-map-run]", this.root)?.value ?? "") : "";
    const mine = (this.asked += 1);
    try {
      const [labels, values] = await Promise.all([this.fetchValues("class", ""), by === "class" ? null : this.fetchValues(by, run)]);
      if (mine !== this.asked || labels.of.length !== this.points?.length) return;
      [this.labels, this.values] = [labels, values ?? labels];
    } catch (reason) {
      return this.say(reason);
    }
    // Pictures that were deleted meanwhile can't be selected any more.
    this.labels.of.forEach((value, index) => value === GONE && (this.selected[index] = 0));
    const colour = resolver(this.root);
    this.draw(by, legendOf(by, this.values, (token) => rgbOf(colour(token))));
  }

  private async fetchValues(by: string, run: string): Promise<Values> {
    const answer = await api<{ names: string[]; of: number[] }>(`${this.path}/values?key=${this.standing?.key ?? ""}&by=${by}&run=${run}`);
    return { names: answer.names, of: Int32Array.from(answer.of) };
  }

  // What is seen

  private draw(by: string, legend: readonly Entry[]): void {
    this.canvas.setValues(this.values, legend);
    need("[data-map-loading]", this.root).hidden = true;
    const titles: Record<string, string> = { class: "Classes", result: "Right or wrong", predicted: "Predicted classes", split: "Split" };
    need("[data-map-legend-title]", this.root).textContent = titles[by] ?? "";
    if (!legend.some((entry) => entry.value === this.picked)) this.pick(null);
    need("[data-map-legend]", this.root).replaceChildren(...legend.map((entry) => element("li", {}, this.legendButton(entry))));
    this.drawSelection();
  }

  private legendButton(entry: Entry): HTMLElement {
    const sign = element("span", { class: "map-sign", "aria-hidden": "true" }, entry.sign);
    sign.style.color = `rgb(${entry.colour.join(" ")})`;
    const name = element("span", { class: "map-name", title: entry.name }, entry.name);
    const button = element("button", { class: "map-class", type: "button", "aria-pressed": String(entry.value === this.picked), "data-value": String(entry.value) }, sign, name, element("span", { class: "number quiet" }, number(entry.count)));
    button.addEventListener("click", () => this.pick(this.picked === entry.value ? null : entry.value));
    return button;
  }

  private pick(value: number | null): void {
    this.picked = value;
    this.canvas.pick(value);
    for (const button of all("[data-map-legend] button", this.root)) button.setAttribute("aria-pressed", String(button.dataset["value"] === String(value)));
    need("[data-map-select-class]", this.root).hidden = value === null;
  }

  private wordsOf(index: number): string {
    const label = this.labels.names[this.labels.of[index] ?? -1];
    const words = label === undefined ? "no label" : label;
    const value = this.values === this.labels ? undefined : this.values.names[this.values.of[index] ?? -1];
    return value === undefined ? words : `${words}, ${this.by === "predicted" ? "predicted " : ""}${value}`;
  }

  private get by(): string {
    return need<HTMLSelectElement>("[data-map-by]", this.root).value;
  }

  private thumbnailOf(index: number): string {
    return address(`/api/v1/images/${this.points?.id(index) ?? ""}/thumbnail?size=192`);
  }

  private pageOf(index: number): string {
    return `${this.root.dataset["pages"]}/${this.points?.id(index) ?? ""}`;
  }

  private hover(index: number, x: number, y: number): void {
    const box = need("[data-map-hover]", this.root);
    box.hidden = index < 0;
    if (index < 0) return;
    const image = need<HTMLImageElement>("[data-map-hover-image]", box);
    const source = this.thumbnailOf(index);
    if (!image.src.endsWith(source)) image.src = source;
    need("[data-map-hover-words]", box).textContent = breakable(this.wordsOf(index));
    const { width, height } = this.canvas.view;
    const [left, top] = [x + 18 + box.offsetWidth > width ? x - 18 - box.offsetWidth : x + 18, Math.min(y + 12, height - box.offsetHeight - 8)];
    box.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }

  private activated(index: number): void {
    window.clearTimeout(this.panelTimer);
    if (index < 0) return;
    this.speak(`${this.wordsOf(index)}${this.selected[index] ? ", selected" : ""}`);
    this.panelTimer = window.setTimeout(() => void this.showPanel(index), SETTLES_MS);
  }

  /** To who can't see the map; others see it. */
  private speak(words: string): void {
    need("[data-map-spoken]", this.root).textContent = words;
  }

  private async showPanel(index: number): Promise<void> {
    const id = this.points?.id(index) ?? "";
    if (this.panelShows === id) return;
    this.panelShows = id;
    const response = await request(this.pageOf(index), { headers: { "HX-Request": "true" } }).catch(() => null);
    if (response?.ok && this.panelShows === id) await htmx.swap({ text: await response.text(), target: need("[data-map-panel]", this.root), swap: "innerHTML" });
  }

  private async findStrays(): Promise<void> {
    const { standing } = this;
    if (!standing) return;
    const found = await api<Strays[]>(`${this.path}/strays?key=${standing.key}&view=${standing.view}`).catch(() => null);
    if (!found) return;
    need("[data-map-strays-table]", this.root).hidden = found.length === 0;
    need("[data-map-no-strays]", this.root).hidden = found.length > 0;
    need("[data-map-strays]", this.root).replaceChildren(...found.slice(0, STRAYS).map((one) => this.strayRow(one)));
    const more = need("[data-map-more-strays]", this.root);
    more.hidden = found.length <= STRAYS;
    more.textContent = `and ${counted(found.length - STRAYS, "more pair")} of classes`;
  }

  private strayRow({ label, among, images }: Strays): HTMLElement {
    const button = element("button", { class: "button button-small", type: "button", "aria-label": `Select ${counted(images.length, "picture")} of ${label} among ${among}` }, "Select");
    button.addEventListener("click", () => {
      this.select(images, false);
      need("[data-map-chosen]", this.root).scrollIntoView({ block: "nearest" });
    });
    const cell = (words: string, kind = ""): HTMLElement => element("td", kind ? { class: kind } : {}, words);
    return element("tr", {}, element("th", { scope: "row" }, breakable(label)), cell(breakable(among)), cell(number(images.length), "number"), element("td", {}, button));
  }

  // What is selected

  private get chosen(): number[] {
    return [...this.selected.keys()].filter((index) => this.selected[index]);
  }

  private select(indices: readonly number[], isAdded: boolean): void {
    if (!isAdded) this.selected.fill(0);
    for (const index of indices) this.selected[index] = 1;
    this.drawSelection();
  }

  private toggle(index: number): void {
    this.selected[index] = this.selected[index] ? 0 : 1;
    this.drawSelection();
    this.speak(`${this.wordsOf(index)}, ${this.selected[index] ? "selected" : "not selected"}`);
  }

  private selectPicked(): void {
    this.select([...this.values.of.keys()].filter((index) => this.values.of[index] === this.picked), false);
  }

  private clear(): void {
    this.selected.fill(0);
    this.drawSelection();
  }

  private drawSelection(): void {
    const chosen = this.chosen;
    this.canvas.setSelected(this.selected);
    need("[data-selected]", this.root).textContent = chosen.length ? `${counted(chosen.length, "picture")} selected` : "Nothing is selected";
    for (const name of ["drop", "clear"]) need<HTMLButtonElement>(`[data-map-${name}]`, this.root).disabled = chosen.length === 0;
    this.drawLink(chosen);
    need("[data-map-chosen]", this.root).hidden = chosen.length === 0;
    need("[data-map-tiles]", this.root).replaceChildren(...chosen.slice(0, TILES).map((index) => this.tile(index)));
    const more = need("[data-map-more]", this.root);
    more.hidden = chosen.length <= TILES;
    more.textContent = `and ${counted(chosen.length - TILES, "more picture")}`;
  }

  private drawLink(chosen: readonly number[]): void {
    const link = need("[data-map-open]", this.root);
    const isPossible = chosen.length > 0 && chosen.length <= MOST_IDS;
    link.setAttribute("aria-disabled", String(!isPossible));
    link.title = chosen.length > MOST_IDS ? `The grid opens at most ${MOST_IDS} selected pictures` : "";
    if (isPossible) link.setAttribute("href", `${this.root.dataset["pages"]}?ids=${chosen.map((index) => this.points?.id(index)).join(",")}`);
    else link.removeAttribute("href");
  }

  private tile(index: number): HTMLElement {
    const words = this.wordsOf(index);
    const image = element("img", { class: "thumb", src: this.thumbnailOf(index), alt: words, width: "192", height: "192", loading: "lazy", decoding: "async" });
    return element("li", {}, element("a", { class: "tile", href: this.pageOf(index) }, image, element("span", { class: "tile-title", "aria-hidden": "true" }, words)));
  }

  /** A label for what is selected; null leaves it out. */
  private async give(label: string | null): Promise<void> {
    const chosen = this.chosen;
    if (!chosen.length) return announce("Select pictures first.");
    if (chosen.length > MOST_CHANGES) return announce(`At most ${number(MOST_CHANGES)} pictures can be relabelled at once. Select fewer.`);
    const changes = chosen.map((index) => ({ image_id: this.points?.id(index) ?? "", label }));
    try {
      const changed = await this.saves.save({ changes, reason: REASON });
      this.clear();
      this.bar?.show(changed.message);
      await this.renew();
    } catch (reason) {
      this.say(reason);
    }
  }

  private say(reason: unknown): void {
    if (!(reason instanceof ApiError)) throw reason;
    // Pictures were examined meanwhile: the page shows the new map.
    if (reason.code === "map-changed") window.setTimeout(() => void this.look(), AGAIN_MS);
    else announce(reason.sentence);
  }
}

/** Names may break after their underscores. */
const breakable = (name: string): string => name.replaceAll("_", "_\u200b");

const isTyping = (target: EventTarget | null): boolean => target instanceof Element && target.closest("input, textarea, select, dialog, [contenteditable]") !== null;

const root = find("[data-map]");
if (root) new MapPage(root);
