import { api } from "./http";
import { PictureQueue, type Waiting } from "./picture_queue";

export interface Picture extends Waiting {
  label: string;
  split: string;
  why: string;
  choices: string[];
  thumbnail_url: string;
}

export interface Pictures {
  items: Picture[];
  next: string | null;
}

/** The pictures of a sprint; those of the next one are fetched while this one is looked at. */
export class FixQueue extends PictureQueue<Picture> {
  private ahead: Promise<Pictures> | null = null;
  private next: string | null;
  /** Thumbnails of the next sprint; kept here so that they stay loaded. */
  thumbnails: HTMLImageElement[] = [];

  constructor(
    private readonly path: string,
    first: Pictures,
  ) {
    super();
    this.next = first.next;
    this.bringBack(first.items);
  }

  get hasNext(): boolean {
    return this.next !== null;
  }

  /** Fetch the next pictures, so that they are there when these are done. */
  lookAhead(): void {
    if (this.next === null || this.ahead) return;
    const url = new URL(this.path, location.href);
    url.searchParams.set("after", this.next);
    this.ahead = api<Pictures>(url.pathname + url.search);
    this.ahead.then(
      ({ items }) => {
        this.thumbnails = items.map(({ thumbnail_url }) => Object.assign(new Image(), { src: thumbnail_url }));
      },
      // It is asked for again when the pictures are wanted.
      () => (this.ahead = null),
    );
  }

  /** Go on to the next pictures. */
  async turn(): Promise<void> {
    this.lookAhead();
    const pictures = await this.ahead;
    if (!pictures) return;
    this.ahead = null;
    this.next = pictures.next;
    this.waiting = pictures.items;
    this.preload();
    this.lookAhead();
  }
}
