import { setUpCosts } from "./lib/costs";
import { all, element, find, need } from "./lib/dom";
import { setUpGrid } from "./lib/grid";
import { HeatMaps } from "./lib/heat_maps";
import { request } from "./lib/http";
import { lettersAct } from "./lib/keys";
import { LargeMatrix } from "./lib/large_matrix";
import { setUpPng } from "./lib/matrix_png";
import { setUpMerging } from "./lib/merge_classes";
import { setUpGalleries } from "./lib/viewer";

const MOST = 12;

interface Image {
  image_id: string;
  path: string;
  image_url: string;
  thumbnail_url: string;
  heatmap_url: string;
  actual: string;
  predicted: string;
  probability_predicted: number;
}

/** Beside the matrix: the pictures of the chosen cell, without leaving the page. */
class Panel {
  private readonly words: HTMLElement;
  private readonly help: HTMLElement;
  private readonly pictures: HTMLElement;
  private readonly openAll: HTMLAnchorElement;
  private chosen: HTMLElement | null = null;
  private timer = 0;

  constructor(private readonly root: HTMLElement) {
    this.words = need("[data-matrix-words]", root);
    this.help = need("[data-matrix-help]", root);
    this.pictures = need("[data-matrix-pictures]", root);
    this.openAll = need<HTMLAnchorElement>("[data-matrix-all]", root);
  }

  /** Shows a cell; its pictures are fetched once the choice rests on it. */
  choose(cell: HTMLElement): void {
    if (cell === this.chosen) return;
    this.chosen?.removeAttribute("aria-selected");
    this.chosen = cell;
    cell.setAttribute("aria-selected", "true");
    const sentence = cell.dataset["words"] ?? cell.getAttribute("aria-label") ?? "";
    this.words.textContent = sentence.charAt(0).toUpperCase() + sentence.slice(1);
    this.help.hidden = true;
    window.clearTimeout(this.timer);
    const link = cell.querySelector("a");
    this.openAll.hidden = !link;
    if (!link) return this.pictures.replaceChildren();
    this.openAll.href = link.href;
    this.timer = window.setTimeout(() => void this.load(cell, link), 120);
  }

  private async load(cell: HTMLElement, link: HTMLAnchorElement): Promise<void> {
    const query = new URLSearchParams(new URL(link.href).search);
    query.set("limit", String(MOST));
    query.set("checkpoint", this.root.dataset["checkpoint"] ?? "");
    query.set("split", this.root.dataset["split"] ?? "");
    const response = await request(`${this.root.dataset["images"]}?${query}`).catch(() => null);
    if (this.chosen !== cell) return;
    if (!response?.ok) {
      this.pictures.replaceChildren();
      this.words.textContent = "The pictures could not be loaded. Choose the cell again.";
      this.chosen = null;
      return;
    }
    const { items } = (await response.json()) as { items: Image[] };
    this.pictures.replaceChildren(...items.map((image) => this.tile(image, new URL(link.href).search)));
  }

  private tile(image: Image, search: string): HTMLElement {
    const kept = new URLSearchParams(search);
    kept.delete("actual");
    kept.delete("predicted");
    const page = `${this.root.dataset["pages"]}/${image.image_id}${kept.size ? `?${kept}` : ""}`;
    const share = `${(100 * image.probability_predicted).toFixed(1)} %`;
    const alt = `labelled ${image.actual}, predicted ${image.predicted} ${share}`;
    const thumb = element("img", { class: "thumb", src: image.thumbnail_url, width: "192", height: "192", alt, decoding: "async" });
    const lines = element("template", { "data-lines": "" });
    lines.content.append(
      element("dl", { class: "prediction-lines" }, line("Label", image.actual), line("Predicted", `${image.predicted} (${image.actual === image.predicted ? "right" : "wrong"})`), line("Confidence", share)),
    );
    const link = element("a", { class: "answer-picture", href: page, "data-view": "", "data-large": image.image_url, "data-heatmap": image.heatmap_url, "data-caption": image.path }, thumb);
    return element("li", { class: "answer-tile" }, link, lines);
  }
}

const line = (name: string, value: string): HTMLElement => element("div", {}, element("dt", {}, name), element("dd", {}, value));

const card = find("[data-matrix-card]");

/** The cell with the most mistakes: shown first, so that the panel isn't empty. */
const worst = (table: HTMLTableElement): HTMLElement | undefined =>
  all<HTMLElement>('[role="gridcell"]', table)
    .filter((cell) => Number(cell.dataset["level"]) > 0)
    .sort((one, other) => Number(other.dataset["level"]) - Number(one.dataset["level"]))[0];

/** A name at the edge, or a key on a cell, shows all pictures of its row or column. */
function showWhole(table: HTMLTableElement, panel: Panel): void {
  const headOf = (cell: HTMLElement, key: string): HTMLElement | null => {
    const row = cell.closest("tr");
    if (key === "a") return row ? find("th", row) : null;
    const column = row ? all('[role="gridcell"]', row).indexOf(cell) : -1;
    return find(`[data-column="${column}"]`, table);
  };
  table.addEventListener("click", (event) => {
    const head = event.target instanceof Element && !event.ctrlKey && !event.metaKey ? event.target.closest<HTMLElement>("th[data-words]") : null;
    if (!head) return;
    event.preventDefault();
    panel.choose(head);
  });
  table.addEventListener("keydown", (event) => {
    const cell = event.target instanceof Element ? event.target.closest<HTMLElement>('[role="gridcell"]') : null;
    if (!cell || !["a", "p"].includes(event.key) || event.ctrlKey || event.metaKey || event.altKey || !lettersAct()) return;
    const head = headOf(cell, event.key);
    event.stopPropagation();
    if (head) panel.choose(head);
  });
}

if (card) {
  const panel = new Panel(need("[data-matrix-panel]", card));
  const table = need<HTMLTableElement>("[data-matrix]", card);
  setUpGrid(table, (cell) => panel.choose(cell), (cell) => {
    panel.choose(cell);
    if (matchMedia("(max-width: 68rem)").matches) need("[data-matrix-panel]", card).scrollIntoView({ block: "nearest" });
  });
  showWhole(table, panel);
  const first = worst(table);
  if (first) panel.choose(first);
}
const large = find("[data-matrix-large]");
if (large) void new LargeMatrix(large).start();
setUpCosts();
setUpMerging();
setUpPng();
setUpGalleries(new HeatMaps());
