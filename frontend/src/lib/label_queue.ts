import { api } from "./http";

export interface Picture {
  image_id: string;
  path: string;
  label: string | null;
  by_hand: boolean;
  left_out: boolean;
  proposal: { label: string; probability: number } | null;
  large_url: string;
  thumbnail_url: string;
}

export interface Answer {
  items: Picture[];
  next: string | null;
  left: number;
  images: number;
  labelled: number;
  policy: { code: string; message: string };
  classes: { name: string; images: number }[];
}

const AHEAD = 60;
const FEW = 20;
const PRELOADED = 5;

/** Pictures that wait for a label: always some ahead, the next five already loaded and decoded. */
export class LabelQueue {
  waiting: Picture[] = [];
  /** Pictures that were dealt with or skipped here: an answer that is older than they are may still have them. */
  private readonly dealtWith = new Set<string>();
  private readonly loaded = new Map<string, HTMLImageElement>();
  private after: string | null = null;
  private isAsking = false;
  private isAtEnd = false;

  constructor(
    private readonly path: string,
    readonly filter: { show: string; class: string; text: string },
    private readonly renewed: (answer: Answer) => void,
  ) {}

  /** Whether every label changes the order, so that the rest is asked for anew. */
  private get isOrdered(): boolean {
    return this.filter.show === "unlabelled";
  }

  /** Fetch more where few are left; the server should know all labels given so far. */
  async fill(isForced = false): Promise<void> {
    if (this.isAsking || (!isForced && (this.isAtEnd || this.waiting.length >= FEW))) return;
    this.isAsking = true;
    try {
      this.join(await this.ask());
    } finally {
      this.isAsking = false;
    }
  }

  /** Begin with what came with the page, so that the first key finds a picture. */
  begin(answer: Answer): void {
    this.join(answer);
  }

  private join(answer: Answer): void {
    const fresh = answer.items.filter((picture) => !this.dealtWith.has(picture.image_id));
    // The next few are loaded already; what comes after them may be ordered anew.
    const kept = this.isOrdered ? this.waiting.slice(0, PRELOADED + 1) : this.waiting;
    const here = new Set(kept.map((picture) => picture.image_id));
    const newest = new Map(answer.items.map((picture) => [picture.image_id, picture]));
    this.waiting = [...kept.map((picture) => newest.get(picture.image_id) ?? picture), ...fresh.filter((picture) => !here.has(picture.image_id))];
    this.after = answer.next;
    this.isAtEnd = this.isOrdered ? fresh.length === 0 || answer.items.length >= answer.left : answer.next === null;
    this.preload();
    this.renewed(answer);
  }

  /** Take pictures out of the front or the middle. */
  take(ids: ReadonlySet<string>): Picture[] {
    const taken = this.waiting.filter((picture) => ids.has(picture.image_id));
    this.waiting = this.waiting.filter((picture) => !ids.has(picture.image_id));
    for (const picture of taken) this.dealtWith.add(picture.image_id);
    this.preload();
    return taken;
  }

  /** Put pictures in front again. */
  bringBack(pictures: readonly Picture[]): void {
    for (const picture of pictures) this.dealtWith.delete(picture.image_id);
    const here = new Set(pictures.map((picture) => picture.image_id));
    this.waiting = [...pictures, ...this.waiting.filter((picture) => !here.has(picture.image_id))];
    this.preload();
  }

  /** Begin anew, skipped ones among them. */
  async restart(): Promise<void> {
    this.dealtWith.clear();
    this.waiting = [];
    this.after = null;
    this.isAtEnd = false;
    await this.fill(true);
  }

  /** The picture as an element, loaded beforehand where it was near enough. */
  image(picture: Picture): HTMLImageElement {
    return this.loaded.get(picture.image_id) ?? this.load(picture);
  }

  private async ask(): Promise<Answer> {
    const many = this.isOrdered ? Math.min(1000, AHEAD + this.dealtWith.size) : AHEAD;
    const query = new URLSearchParams({ ...this.filter, limit: String(many) });
    if (this.after && !this.isOrdered) query.set("after", this.after);
    return api<Answer>(`${this.path}/queue?${query}`);
  }

  private preload(): void {
    const near = this.waiting.slice(0, PRELOADED + 1);
    const ids = new Set(near.map((picture) => picture.image_id));
    for (const id of [...this.loaded.keys()]) if (!ids.has(id)) this.loaded.delete(id);
    for (const picture of near) if (!this.loaded.has(picture.image_id)) this.load(picture);
  }

  private load(picture: Picture): HTMLImageElement {
    const image = new Image();
    image.src = picture.large_url;
    image.alt = `Picture to label: ${picture.path}`;
    // Decoded before it is needed; one that can't be is shown as broken where it stands.
    void image.decode().catch(() => undefined);
    this.loaded.set(picture.image_id, image);
    return image;
  }
}
