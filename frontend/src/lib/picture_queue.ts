export interface Waiting {
  image_id: string;
  path: string;
  large_url: string;
}

export const PRELOADED = 5;

/** Pictures that wait for a decision: the next five are already loaded and decoded. */
export class PictureQueue<P extends Waiting> {
  waiting: P[] = [];
  private readonly loaded = new Map<string, HTMLImageElement>();

  /** Take pictures out of the front or the middle. */
  take(ids: ReadonlySet<string>): P[] {
    const taken = this.waiting.filter((picture) => ids.has(picture.image_id));
    this.waiting = this.waiting.filter((picture) => !ids.has(picture.image_id));
    this.preload();
    return taken;
  }

  /** Put pictures in front again. */
  bringBack(pictures: readonly P[]): void {
    const here = new Set(pictures.map((picture) => picture.image_id));
    this.waiting = [...pictures, ...this.waiting.filter((picture) => !here.has(picture.image_id))];
    this.preload();
  }

  /** The picture as an element, loaded beforehand where it was near enough. */
  image(picture: P): HTMLImageElement {
    return this.loaded.get(picture.image_id) ?? this.load(picture);
  }

  protected preload(): void {
    const near = this.waiting.slice(0, PRELOADED + 1);
    const ids = new Set(near.map((picture) => picture.image_id));
    for (const id of [...this.loaded.keys()]) if (!ids.has(id)) this.loaded.delete(id);
    for (const picture of near) if (!this.loaded.has(picture.image_id)) this.load(picture);
  }

  private load(picture: P): HTMLImageElement {
    const image = new Image();
    image.src = picture.large_url;
    image.alt = `Picture to label: ${picture.path}`;
    // Decoded before it is needed; one that can't be is shown as broken where it stands.
    void image.decode().catch(() => undefined);
    this.loaded.set(picture.image_id, image);
    return image;
  }
}
