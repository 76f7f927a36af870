import { all } from "./dom";

/** The cells of a grid's body, by row; headers are not among them. */
function cellsOf(table: HTMLTableElement): HTMLElement[][] {
  return [...(table.tBodies[0]?.rows ?? [])].map((row) => all<HTMLElement>('[role="gridcell"]', row));
}

const MOVES: Record<string, (row: number, column: number, rows: number, columns: number, ctrl: boolean) => [number, number]> = {
  ArrowRight: (row, column) => [row, column + 1],
  ArrowLeft: (row, column) => [row, column - 1],
  ArrowDown: (row, column) => [row + 1, column],
  ArrowUp: (row, column) => [row - 1, column],
  Home: (row, _column, _rows, _columns, ctrl) => [ctrl ? 0 : row, 0],
  End: (row, _column, rows, columns, ctrl) => [ctrl ? rows - 1 : row, columns - 1],
  PageDown: (row, column) => [row + 10, column],
  PageUp: (row, column) => [row - 10, column],
};

/**
 * Make a table one tab stop in which the arrow keys move, as in the ARIA grid pattern.
 * `onFocus` is called with each cell that gets the focus. `onChoose` is called where a cell is clicked or Enter pressed on it;
 * without it, Enter and a click open the cell's link.
 */
export function setUpGrid(table: HTMLTableElement, onFocus: (cell: HTMLElement) => void, onChoose?: (cell: HTMLElement) => void): void {
  const cells = cellsOf(table);
  for (const cell of cells.flat()) {
    cell.tabIndex = -1;
    const link = cell.querySelector("a");
    if (link) link.tabIndex = -1;
  }
  const first = cells.flat().find((cell) => Number(cell.dataset["level"]) > 0) ?? cells[0]?.[0];
  if (first) first.tabIndex = 0;

  const at = (target: EventTarget | null): HTMLElement | null =>
    target instanceof Element ? target.closest<HTMLElement>('[role="gridcell"]') : null;

  table.addEventListener("focusin", (event) => {
    const cell = at(event.target);
    if (!cell) return;
    for (const other of all('[role="gridcell"][tabindex="0"]', table)) other.tabIndex = -1;
    cell.tabIndex = 0;
    onFocus(cell);
  });
  table.addEventListener("click", (event) => {
    const cell = at(event.target);
    if (!cell || !onChoose || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    cell.focus();
    onChoose(cell);
  });
  table.addEventListener("keydown", (event) => {
    const cell = at(event.target);
    if (!cell || event.altKey || event.metaKey) return;
    if (event.key === "Enter") {
      event.preventDefault();
      if (onChoose) onChoose(cell);
      else cell.querySelector("a")?.click();
      return;
    }
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    const row = cells.findIndex((some) => some.includes(cell));
    const column = cells[row]?.indexOf(cell) ?? 0;
    const columns = cells[0]?.length ?? 0;
    const [wantedRow, wantedColumn] = move(row, column, cells.length, columns, event.ctrlKey);
    const within = (value: number, count: number): number => Math.min(Math.max(value, 0), count - 1);
    const next = cells[within(wantedRow, cells.length)]?.[within(wantedColumn, columns)];
    next?.focus();
    next?.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}
