import type { MapPoints } from "./map_points";
import type { MapView } from "./map_view";

/** Shapes that say the same as colours do. */
export type Shape = "disc" | "cross" | "square" | "triangle" | "dot";

export interface Look {
  /** Red, green and blue. */
  colour: readonly [number, number, number];
  shape: Shape;
}

/** How each picture is drawn: `looks[of[index]]`; one that is negative isn't. */
export interface Drawn {
  of: Int32Array;
  looks: readonly Look[];
  selected: Uint8Array;
  ground: readonly [number, number, number];
  ink: readonly [number, number, number];
}

/** Rows of a shape: how much of each pixel it covers, in 0 to 255. */
interface Mask {
  side: number;
  coverage: Uint8Array;
}

/**
 * Dots on a canvas, put into its pixels by ourselves: a hundred thousand calls of the canvas take four times as long.
 */
export class MapRaster {
  private readonly context: CanvasRenderingContext2D;
  private image: ImageData;
  private pixels: Uint32Array;
  private readonly masks = new Map<string, Mask>();

  constructor(private readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("The browser has no canvas.");
    this.context = context;
    this.image = context.createImageData(1, 1);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  draw(points: MapPoints, view: MapView, drawn: Drawn): void {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.fitCanvas(Math.round(view.width * ratio), Math.round(view.height * ratio));
    this.pixels.fill(packed(drawn.ground));
    const radius = radiusOf(points.length, view.enlarged) * ratio;
    const colours = drawn.looks.map((look) => packed(look.colour));
    const masks = drawn.looks.map((look) => this.mask(look.shape, radius));
    const [halo, ink] = [this.mask("disc", radius + 2.5 * ratio), packed(drawn.ink)];
    const [scale, left, top] = [view.scale * ratio, view.toScreenX(0) * ratio, view.toScreenY(0) * ratio];
    const put = (index: number, mask: Mask, colour: number): void => {
      this.put(Math.round(left + points.x[index]! * scale), Math.round(top + points.y[index]! * scale), mask, colour);
    };
    const { of, selected } = drawn;
    for (const index of points.order) if (of[index]! >= 0 && !selected[index]) put(index, masks[of[index]!]!, colours[of[index]!]!);
    // What is selected lies above all else.
    for (const index of points.order) if (selected[index]) put(index, halo, ink);
    for (const index of points.order) if (selected[index] && of[index]! >= 0) put(index, masks[of[index]!]!, colours[of[index]!]!);
    this.context.putImageData(this.image, 0, 0);
  }

  private fitCanvas(width: number, height: number): void {
    if (this.canvas.width === width && this.canvas.height === height && this.image.width === width && this.image.height === height) return;
    [this.canvas.width, this.canvas.height] = [width, height];
    this.image = this.context.createImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  private put(x: number, y: number, mask: Mask, colour: number): void {
    const { width, height } = this.image;
    const { side, coverage } = mask;
    const [left, top] = [x - (side >> 1), y - (side >> 1)];
    if (left >= width || top >= height || left + side <= 0 || top + side <= 0) return;
    const { pixels } = this;
    const [firstRow, endRow] = [Math.max(0, -top), Math.min(side, height - top)];
    const [first, end] = [Math.max(0, -left), Math.min(side, width - left)];
    for (let row = firstRow; row < endRow; row += 1) {
      let [at, from] = [(top + row) * width + left + first, row * side + first];
      for (let column = first; column < end; column += 1, at += 1, from += 1) {
        const share = coverage[from]!;
        if (share === 255) pixels[at] = colour;
        else if (share) pixels[at] = mixed(pixels[at]!, colour, share);
      }
    }
  }

  private mask(shape: Shape, radius: number): Mask {
    const name = `${shape} ${radius.toFixed(1)}`;
    const known = this.masks.get(name) ?? maskOf(shape, radius);
    this.masks.set(name, known);
    return known;
  }
}

/** CSS pixels: small where there are many, and larger as the map is enlarged. */
export function radiusOf(count: number, enlarged: number): number {
  const whole = count > 50_000 ? 1.25 : count > 10_000 ? 1.75 : count > 2_000 ? 2.5 : count > 200 ? 4 : 5;
  // In steps: each radius has masks of its own.
  return Math.round(4 * Math.min(Math.max(7, whole), whole * Math.max(1, Math.sqrt(enlarged)))) / 4;
}

const inShape: Record<Shape, (x: number, y: number) => boolean> = {
  disc: (x, y) => x * x + y * y <= 1,
  dot: (x, y) => x * x + y * y <= 0.3,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.88,
  triangle: (x, y) => y <= 0.8 && y >= -1.15 + 2 * Math.abs(x),
  cross: (x, y) => Math.min(Math.abs(x - y), Math.abs(x + y)) <= 0.5 && Math.max(Math.abs(x), Math.abs(y)) <= 1.1,
};

/** Each pixel by sixteen points of it. */
function maskOf(shape: Shape, radius: number): Mask {
  const reach = Math.ceil(1.2 * radius);
  const side = 2 * reach + 1;
  const coverage = new Uint8Array(side * side);
  for (let place = 0; place < coverage.length; place += 1) {
    let inside = 0;
    for (let point = 0; point < 16; point += 1) {
      const x = (place % side) - reach + ((point % 4) - 1.5) / 4;
      const y = Math.floor(place / side) - reach + (Math.floor(point / 4) - 1.5) / 4;
      if (inShape[shape](x / radius, y / radius)) inside += 1;
    }
    coverage[place] = Math.round((255 * inside) / 16);
  }
  return { side, coverage };
}

/** As the pixels of a canvas have it on all machines of today: alpha, blue, green, red from the highest byte. */
const packed = ([red, green, blue]: readonly [number, number, number]): number => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

function mixed(under: number, over: number, share: number): number {
  const rest = 255 - share;
  const redAndBlue = ((((under & 0xff00ff) * rest + (over & 0xff00ff) * share) >>> 8) & 0xff00ff) >>> 0;
  const green = (((under & 0x00ff00) * rest + (over & 0x00ff00) * share) >>> 8) & 0x00ff00;
  return (0xff000000 | redAndBlue | green) >>> 0;
}
