/** What a bulk action is for, as the API takes it (`backend/datasets/pictures/selection.py`). */
export type SelectionBody = { ids: string[] } | { filter: string; except: string[] };

/** Pictures that are selected: some, or all that the filter shows without some. */
export class PictureSelection {
  private readonly marked = new Set<string>();
  private isAll = false;

  constructor(private readonly query: string) {}

  has(id: string): boolean {
    return this.marked.has(id) !== this.isAll;
  }

  /** How many of `total` pictures are selected. */
  count(total: number): number {
    return this.isAll ? Math.max(0, total - this.marked.size) : this.marked.size;
  }

  get isEmpty(): boolean {
    return !this.isAll && this.marked.size === 0;
  }

  /** Whether the filter is meant, and not single pictures. */
  get isOfFilter(): boolean {
    return this.isAll;
  }

  toggle(id: string): void {
    if (!this.marked.delete(id)) this.marked.add(id);
  }

  /** Select these and nothing else. */
  only(ids: Iterable<string>): void {
    this.clear();
    for (const id of ids) this.marked.add(id);
  }

  /** Select these as well. */
  add(ids: Iterable<string>): void {
    for (const id of ids) if (!this.has(id)) this.toggle(id);
  }

  all(): void {
    this.marked.clear();
    this.isAll = true;
  }

  clear(): void {
    this.marked.clear();
    this.isAll = false;
  }

  get body(): SelectionBody {
    return this.isAll ? { filter: this.query, except: [...this.marked] } : { ids: [...this.marked] };
  }
}
