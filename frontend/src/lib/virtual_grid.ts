import { Virtualizer, observeWindowOffset, observeWindowRect, windowScroll } from "@tanstack/virtual-core";
import type { Range } from "@tanstack/virtual-core";
import { element } from "./dom";
import type { Picture, PictureList } from "./picture_list";

/** Lists up to here are drawn whole, so that the browser's own search finds every name. */
const DRAWN_WHOLE = 2000;
const SETTLES_MS = 60;
const OVERSCAN = 3;
/** What stands over and under the rows: the bar of the page, and the bar with what is selected. */
const COVERED = { top: 64, bottom: 72 };

export interface Marks {
  isSelected: (id: string) => boolean;
  isActive: (index: number) => boolean;
}

/**
 * Square tiles of which only those in sight are drawn. Where each one lies follows from its index alone, so that
 * a hundred thousand pictures scroll like sixty.
 */
export class VirtualGrid {
  private readonly rows = new Map<number, HTMLElement>();
  private readonly virtual: Virtualizer<Window, HTMLElement>;
  private columns = 1;
  private rowHeight = 1;
  private timer = 0;

  constructor(
    private readonly list: HTMLElement,
    private readonly pictures: PictureList,
    private readonly marks: Marks,
  ) {
    this.measure();
    list.replaceChildren();
    list.dataset["drawn"] = "";
    this.virtual = new Virtualizer<Window, HTMLElement>(this.options());
    this.virtual._didMount();
    this.virtual._willUpdate();
    new ResizeObserver(() => this.resize()).observe(list.parentElement ?? list);
    this.draw();
  }

  get columnCount(): number {
    return this.columns;
  }

  /** Rows that are in sight at once. */
  get rowsInSight(): number {
    return Math.max(1, Math.floor((window.innerHeight - COVERED.top - COVERED.bottom) / this.rowHeight));
  }

  /** The first picture in sight. */
  get firstInSight(): number {
    return Math.max(0, Math.floor((window.scrollY - this.list.offsetTop + COVERED.top) / this.rowHeight)) * this.columns;
  }

  scrollTo(index: number, align: "auto" | "start" = "auto"): void {
    this.virtual.scrollToIndex(Math.floor(index / this.columns), { align });
  }

  /** Draw again what has changed: pictures that came, how many there are, what is selected. */
  refresh(): void {
    this.virtual.setOptions(this.options());
    this.virtual._willUpdate();
    this.draw();
  }

  /** Only the marks of what is selected; nothing else has changed. */
  mark(): void {
    for (const row of this.rows.values()) for (const cell of row.children) this.markCell(cell as HTMLElement);
  }

  private options() {
    const rows = Math.ceil(this.pictures.length / this.columns);
    const isWhole = this.pictures.length <= DRAWN_WHOLE;
    return {
      count: rows,
      getScrollElement: () => window,
      estimateSize: () => this.rowHeight,
      overscan: OVERSCAN,
      scrollMargin: this.list.offsetTop,
      scrollPaddingStart: COVERED.top,
      scrollPaddingEnd: COVERED.bottom,
      observeElementRect: observeWindowRect,
      observeElementOffset: observeWindowOffset,
      scrollToFn: windowScroll,
      initialOffset: () => window.scrollY,
      onChange: () => this.draw(),
      rangeExtractor: (range: Range) => {
        const first = isWhole ? 0 : Math.max(0, range.startIndex - range.overscan);
        const last = isWhole ? rows - 1 : Math.min(rows - 1, range.endIndex + range.overscan);
        return Array.from({ length: Math.max(0, last - first + 1) }, (_, place) => first + place);
      },
    };
  }

  /** As many columns as the style sheet makes of the list before it is drawn by us. */
  private measure(): void {
    const isNarrow = window.matchMedia("(max-width: 48rem)").matches;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const [gap, least] = isNarrow ? [0.5 * rem, 6 * rem] : [0.75 * rem, 8.5 * rem];
    const width = this.list.clientWidth;
    this.columns = Math.max(1, Math.floor((width + gap) / (least + gap)));
    const side = (width - gap * (this.columns - 1)) / this.columns;
    this.rowHeight = side + 1.55 * rem + gap;
    this.list.style.setProperty("--columns", String(this.columns));
  }

  private resize(): void {
    const [columns, height] = [this.columns, this.rowHeight];
    const first = this.firstInSight;
    this.measure();
    if (columns === this.columns && height === this.rowHeight) return;
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
    this.virtual.setOptions(this.options());
    this.virtual.measure();
    this.draw();
    if (first) this.scrollTo(first, "start");
  }

  private draw(): void {
    const items = this.virtual.getVirtualItems();
    this.list.style.height = `${this.virtual.getTotalSize()}px`;
    const wanted = new Set(items.map((item) => item.index));
    for (const [index, row] of this.rows) {
      if (wanted.has(index)) continue;
      row.remove();
      this.rows.delete(index);
    }
    for (const item of items) this.drawRow(item.index, item.start - this.list.offsetTop);
    const [first, last] = [items[0], items.at(-1)];
    window.clearTimeout(this.timer);
    // Rows that only fly past are not fetched.
    this.timer = window.setTimeout(() => {
      const end = last ? (last.index + 1) * this.columns - 1 : 0;
      void this.pictures.need(first ? first.index * this.columns : 0, end).catch(() => undefined);
    }, this.rows.size ? SETTLES_MS : 0);
  }

  private drawRow(index: number, top: number): void {
    let row = this.rows.get(index);
    if (!row) {
      row = element("div", { class: "grid-row", role: "presentation" });
      this.rows.set(index, row);
      // In the order of the list, as the browser's search and screen readers go through it.
      const following = [...this.rows].filter(([other]) => other > index).sort(([a], [b]) => a - b)[0]?.[1] ?? null;
      this.list.insertBefore(row, following);
    }
    row.style.transform = `translateY(${top}px)`;
    row.style.containIntrinsicSize = `auto ${this.rowHeight}px`;
    const first = index * this.columns;
    const count = Math.max(0, Math.min(this.columns, this.pictures.length - first));
    while (row.children.length > count) row.lastElementChild?.remove();
    for (let place = 0; place < count; place += 1) {
      const picture = this.pictures.at(first + place);
      const present = row.children[place] as HTMLElement | undefined;
      if (present && present.dataset["id"] === (picture?.id ?? "")) continue;
      const cell = this.cell(first + place, picture);
      if (present) present.replaceWith(cell);
      else row.append(cell);
    }
  }

  private cell(index: number, picture: Picture | undefined): HTMLElement {
    const cell = element("li", { class: "cell", role: "option", id: `cell-${index}` });
    cell.dataset["index"] = String(index);
    cell.dataset["id"] = picture?.id ?? "";
    cell.setAttribute("aria-posinset", String(index + 1));
    cell.setAttribute("aria-setsize", String(this.pictures.isComplete ? this.pictures.length : -1));
    const image = element("img", { class: "thumb", alt: "", width: "192", height: "192", decoding: "async", draggable: "false" });
    cell.append(image);
    if (!picture) {
      cell.setAttribute("aria-label", "Picture that is being fetched");
      cell.append(element("span", { class: "cell-text" }, " "));
      return cell;
    }
    image.src = picture.thumbnail_url;
    const name = picture.path.slice(picture.path.lastIndexOf("/") + 1);
    cell.setAttribute("aria-label", nameOf(picture, name));
    cell.append(element("span", { class: "cell-mark" }, element("span", { "aria-hidden": "true" }, "✓")));
    const text = element("span", { class: "cell-text", title: picture.path }, name);
    if (picture.label !== null) text.prepend(element("b", {}, picture.label), " ");
    cell.append(text);
    if (picture.answer) cell.append(" ", answerOf(picture.answer));
    this.markCell(cell);
    return cell;
  }

  private markCell(cell: HTMLElement): void {
    const id = cell.dataset["id"] ?? "";
    cell.setAttribute("aria-selected", String(id !== "" && this.marks.isSelected(id)));
    cell.toggleAttribute("data-active", this.marks.isActive(Number(cell.dataset["index"])));
  }
}

type Answer = NonNullable<Picture["answer"]>;

/** What a cell is called; it holds what is seen in the cell, in the same order, so that speech can choose it. */
function nameOf(picture: Picture, file: string): string {
  const { label, answer } = picture;
  const words = label === null ? `Picture ${picture.path}` : `labelled ${label}, ${file}`;
  return answer ? `${words}, ${answerWords(answer)} (${Math.round(100 * answer.probability)}%)` : words;
}

function answerWords(answer: Answer): string {
  return answer.is_right ? "right" : `predicted ${answer.predicted}`;
}

function answerOf(answer: Answer): HTMLElement {
  return element("span", { class: "cell-answer", "data-right": String(answer.is_right) }, answerWords(answer));
}
