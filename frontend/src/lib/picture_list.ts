import { api } from "./http";

/** A picture as the API lists it. */
export interface Picture {
  id: string;
  path: string;
  label: string | null;
  thumbnail_url: string;
  answer: { predicted: string; probability: number; is_right: boolean } | null;
}

interface Answer {
  items: Picture[];
  next: string | null;
}

export const PAGE = 200;
const MOST_PAGES = 100;

/**
 * The pictures of a list, fetched a page at a time.
 *
 * Where the number of pictures is known, any page may be asked for. Where it isn't (a filter that every picture must be
 * looked at for), pages come one after the other, and the number grows until the list has ended.
 */
export class PictureList {
  private readonly pages = new Map<number, Picture[]>();
  private readonly cursors = new Map<number, string>();
  private readonly asked = new Map<number, Promise<void>>();
  private found: Picture[] = [];
  private next: string | null;
  private hasBegun = false;
  private generation = 0;

  constructor(
    private readonly address: string,
    private readonly query: string,
    private known: number,
    private readonly isExact: boolean,
    private readonly after: string,
    private readonly onChange: () => void,
  ) {
    this.next = after || null;
  }

  /** How many pictures there are, as far as is known. */
  get length(): number {
    return this.isExact ? this.known : this.found.length;
  }

  /** Whether `length` is the end of the list. */
  get isComplete(): boolean {
    return this.isExact || (this.hasBegun && this.next === null);
  }

  at(index: number): Picture | undefined {
    return this.isExact ? this.pages.get(Math.floor(index / PAGE))?.[index % PAGE] : this.found[index];
  }

  /** Fetch what isn't there yet of the pictures from `first` to `last`. */
  need(first: number, last: number): Promise<void[]> {
    if (!this.isExact) return Promise.all(last >= this.found.length - PAGE / 2 && !this.isComplete ? [this.fetchNext()] : []);
    const wanted = [];
    for (let page = Math.floor(first / PAGE); page <= Math.floor(Math.max(first, last) / PAGE) && page * PAGE < this.known; page += 1) {
      if (!this.pages.has(page)) wanted.push(this.fetchOnce(page, () => this.fetchPage(page)));
    }
    return Promise.all(wanted);
  }

  /** All pictures from `first` to `last`, both included, one page after the other. */
  async slice(first: number, last: number): Promise<Picture[]> {
    const found: Picture[] = [];
    for (let index = first; index <= last; index += 1) {
      // A list that was reset meanwhile didn't keep what had been asked for.
      for (let generation = -1; !this.at(index) && generation !== this.generation; ) {
        generation = this.generation;
        await this.need(index, index);
      }
      const picture = this.at(index);
      if (picture) found.push(picture);
    }
    return found;
  }

  /** Forget what was fetched, after something was changed; `change` is by how many pictures the list grew. */
  reset(change: number): void {
    this.generation += 1;
    this.pages.clear();
    this.cursors.clear();
    this.asked.clear();
    this.found = [];
    this.next = this.after || null;
    this.hasBegun = false;
    this.known = Math.max(0, this.known + change);
    this.onChange();
  }

  private fetchOnce(page: number, load: () => Promise<void>): Promise<void> {
    const running = this.asked.get(page) ?? load().finally(() => this.asked.delete(page));
    this.asked.set(page, running);
    return running;
  }

  private async fetchPage(page: number): Promise<void> {
    const generation = this.generation;
    const cursor = this.cursors.get(page - 1);
    const place: Record<string, string> = cursor ? { after: cursor } : page ? { offset: String(page * PAGE) } : {};
    const answer = await this.ask(place);
    if (generation !== this.generation) return;
    this.pages.delete(page);
    this.pages.set(page, answer.items);
    const oldest = this.pages.keys().next().value;
    if (this.pages.size > MOST_PAGES && oldest !== undefined) this.pages.delete(oldest);
    if (answer.next) this.cursors.set(page, answer.next);
    // Others may have deleted or added pictures since the page was drawn.
    else this.known = page * PAGE + answer.items.length;
    this.onChange();
  }

  private fetchNext(): Promise<void> {
    return this.fetchOnce(-1, async () => {
      const generation = this.generation;
      const answer = await this.ask(this.next ? { after: this.next } : {});
      if (generation !== this.generation) return;
      this.hasBegun = true;
      this.found.push(...answer.items);
      this.next = answer.next;
      this.onChange();
    });
  }

  private ask(place: Record<string, string>): Promise<Answer> {
    const query = new URLSearchParams(this.query);
    query.set("limit", String(PAGE));
    for (const [name, value] of Object.entries(place)) query.set(name, value);
    return api<Answer>(`${this.address}?${query}`);
  }
}
