import { api } from "./http";
import { PictureQueue, PRELOADED, type Waiting } from "./picture_queue";

export interface Picture extends Waiting {
  label: string | null;
  by_hand: boolean;
  left_out: boolean;
  proposal: { label: string; probability: number } | null;
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

/** Pictures that wait for a label: always some ahead. */
export class LabelQueue extends PictureQueue<Picture> {
  /** Pictures that were dealt with or skipped here: an answer that is older than they are may still have them. */
  private readonly dealtWith = new Set<string>();
  private after: string | null = null;
  private isAsking = false;
  private isAtEnd = false;

  constructor(
    private readonly path: string,
    readonly filter: { show: string; class: string; text: string },
    private readonly renewed: (answer: Answer) => void,
  ) {
    super();
  }

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

  override take(ids: ReadonlySet<string>): Picture[] {
    const taken = super.take(ids);
    for (const picture of taken) this.dealtWith.add(picture.image_id);
    return taken;
  }

  override bringBack(pictures: readonly Picture[]): void {
    for (const picture of pictures) this.dealtWith.delete(picture.image_id);
    super.bringBack(pictures);
  }

  /** Begin anew, skipped ones among them. */
  async restart(): Promise<void> {
    this.dealtWith.clear();
    this.waiting = [];
    this.after = null;
    this.isAtEnd = false;
    await this.fill(true);
  }

  private async ask(): Promise<Answer> {
    const many = this.isOrdered ? Math.min(1000, AHEAD + this.dealtWith.size) : AHEAD;
    const query = new URLSearchParams({ ...this.filter, limit: String(many) });
    if (this.after && !this.isOrdered) query.set("after", this.after);
    return api<Answer>(`${this.path}/queue?${query}`);
  }
}
