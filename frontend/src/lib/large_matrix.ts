import { element, need } from "./dom";
import { setUpGrid } from "./grid";
import { request } from "./http";

const LENS = 24;

/** A matrix of too many classes for a table: all of it on a canvas, and a lens of real cells over a part of it. */
export class LargeMatrix {
  private classes: string[] = [];
  private matrix: number[][] = [];
  private top = 0;
  private left = 0;
  private readonly canvas: HTMLCanvasElement;

  constructor(private readonly root: HTMLElement) {
    this.canvas = need<HTMLCanvasElement>("[data-overview]", root);
  }

  async start(): Promise<void> {
    const response = await request(this.root.dataset["matrixUrl"] ?? "").catch(() => null);
    if (!response?.ok) return;
    const { classes, matrix } = (await response.json()) as { classes: string[]; matrix: number[][] };
    const indices = JSON.parse(this.root.dataset["indices"] ?? "[]") as number[];
    this.classes = indices.map((index) => classes[index] ?? "");
    this.matrix = indices.map((row) => indices.map((column) => matrix[row]?.[column] ?? 0));
    need("[data-needs-script]", this.root).hidden = false;
    this.canvas.addEventListener("click", (event) => {
      const box = this.canvas.getBoundingClientRect();
      const at = (share: number): number => Math.floor(share * this.classes.length) - LENS / 2;
      this.move(at((event.clientY - box.top) / box.height), at((event.clientX - box.left) / box.width));
    });
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    const [row, column] = this.worst();
    this.move(row - LENS / 2, column - LENS / 2);
  }

  private onKey(event: KeyboardEvent): void {
    const step = event.shiftKey ? LENS : 4;
    const moves: Record<string, [number, number]> = { ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    this.move(this.top + move[0], this.left + move[1]);
  }

  private worst(): [number, number] {
    let found: [number, number] = [0, 0];
    let most = -1;
    this.matrix.forEach((row, r) =>
      row.forEach((count, c) => {
        if (r === c || count <= most) return;
        most = count;
        found = [r, c];
      }),
    );
    return found;
  }

  private move(top: number, left: number): void {
    const last = Math.max(0, this.classes.length - LENS);
    this.top = Math.min(Math.max(0, Math.round(top)), last);
    this.left = Math.min(Math.max(0, Math.round(left)), last);
    this.draw();
    this.writeLens();
  }

  private draw(): void {
    const size = this.classes.length;
    const cell = Math.max(2, Math.floor(560 / size)) * Math.min(2, Math.ceil(devicePixelRatio));
    this.canvas.width = this.canvas.height = size * cell;
    const pen = this.canvas.getContext("2d");
    if (!pen) return;
    const style = getComputedStyle(this.canvas);
    this.matrix.forEach((row, r) => {
      const images = Math.max(1, row.reduce((sum, count) => sum + count, 0));
      row.forEach((count, c) => {
        if (!count) return;
        pen.globalAlpha = r === c ? 0.25 : 0.35 + 0.65 * Math.min(1, (2 * count) / images);
        pen.fillStyle = r === c ? style.color : style.outlineColor;
        pen.fillRect(c * cell, r * cell, cell, cell);
      });
    });
    pen.globalAlpha = 1;
    pen.strokeStyle = style.color;
    pen.lineWidth = Math.max(2, cell / 2);
    pen.strokeRect(this.left * cell, this.top * cell, LENS * cell, LENS * cell);
  }

  private writeLens(): void {
    const rows = this.classes.slice(this.top, this.top + LENS);
    const columns = this.classes.slice(this.left, this.left + LENS);
    need("[data-lens-words]", this.root).textContent = `rows ${rows[0]} to ${rows.at(-1)}, columns ${columns[0]} to ${columns.at(-1)}`;
    const head = element("tr", {}, element("th", { class: "matrix-axis", scope: "col" }, "actual ↓ predicted →"), ...columns.map((name) => element("th", { class: "matrix-column", scope: "col" }, element("span", { title: name }, name))));
    const body = rows.map((actual, r) =>
      element("tr", {}, element("th", { class: "matrix-row", scope: "row" }, element("span", { title: actual }, actual)), ...columns.map((predicted, c) => this.cell(actual, predicted, this.top + r, this.left + c))),
    );
    const table = element("table", { class: "matrix", role: "grid", "aria-label": "The enlarged part of the confusion matrix", "aria-readonly": "true" }, element("thead", {}, head), element("tbody", {}, ...body));
    setUpGrid(table, () => undefined);
    need("[data-lens]", this.root).replaceChildren(table);
  }

  private cell(actual: string, predicted: string, row: number, column: number): HTMLElement {
    const count = this.matrix[row]?.[column] ?? 0;
    const images = Math.max(1, (this.matrix[row] ?? []).reduce((sum, some) => sum + some, 0));
    const level = row === column || !count ? 0 : 1 + [0.05, 0.1, 0.2, 0.4].filter((edge) => count / images >= edge).length;
    const pictures = count === 1 ? "1 picture" : `${count || "no"} pictures`;
    const cell = element("td", { role: "gridcell", "data-level": String(level), "aria-label": `actual ${actual}, predicted ${predicted}: ${pictures}` });
    if (row === column) cell.dataset["right"] = "";
    if (count) cell.append(element("a", { href: this.address(actual, predicted) }, String(count)));
    return cell;
  }

  private address(actual: string, predicted: string): string {
    const query = new URLSearchParams({ actual, predicted });
    for (const name of ["checkpoint", "split"]) {
      const kept = this.root.getAttribute(`data-keep-${name}`);
      if (kept) query.set(name, kept);
    }
    return `${this.root.dataset["imagesUrl"]}?${query}`;
  }
}
