import { all, element } from "./dom";
import type { Waiting } from "./picture_queue";
import { TileSelection } from "./tile_selection";

/** Waiting pictures as tiles that are selected as in a file manager, and which of them a key is for. */
export class PictureTiles<P extends Waiting> {
  readonly selection: TileSelection;

  constructor(
    private readonly list: HTMLElement,
    private readonly tileOf: (picture: P) => HTMLElement,
    changed: () => void,
  ) {
    this.selection = new TileSelection(list, changed);
  }

  /** Those that are selected, else the one that has the focus. */
  get meant(): Set<string> {
    if (this.selection.chosen.size) return new Set(this.selection.chosen);
    const focused = this.selection.focused;
    return new Set(focused ? [focused] : []);
  }

  /** The focus is about to go elsewhere, and the tile that has it is still meant. */
  holdFocused(): void {
    const { focused, chosen } = this.selection;
    if (focused && !chosen.size) this.selection.select(focused);
  }

  draw(pictures: readonly P[]): void {
    const had = this.selection.focused;
    const known = new Map(all("[data-tile]", this.list).map((tile) => [tile.dataset["tile"], tile]));
    this.list.replaceChildren(...pictures.map((picture) => known.get(picture.image_id) ?? this.tileOf(picture)));
    this.selection.renew();
    // Who works with keys stays in the list when the tile is gone.
    if (had) (this.selection.tiles.find((tile) => tile.dataset["tile"] === had) ?? this.selection.tiles[0])?.focus();
  }

  focus(): void {
    this.selection.tiles[0]?.focus();
  }
}

/** A tile that can be selected: the picture, and words below it. */
export function tile(picture: Waiting & { thumbnail_url: string }, alt: string, ...words: (Node | string)[]): HTMLElement {
  const image = thumbnail(picture);
  image.alt = alt;
  image.draggable = false;
  return element("li", { class: "tile", role: "option", "aria-selected": "false", tabindex: "-1", "data-tile": picture.image_id, title: picture.path }, image, ...words);
}

export const thumbnail = (picture: { thumbnail_url: string }): HTMLImageElement =>
  element("img", { class: "thumb", src: picture.thumbnail_url, alt: "", width: "192", height: "192", decoding: "async" });
