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

/** The pixels that a shape covers, counted from its middle, and how much of each, in 1 to 255. */
interface Mask {
  /** No pixel is further away, in either direction. */
  reach: number;
  x: Int32Array;
  y: Int32Array;
  /** The same as one step along the canvas's pixels. */
  steps: Int32Array;
  shares: Uint8Array;
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

  /** `ratio`: pixels of the canvas for each CSS pixel. */
  draw(points: MapPoints, view: MapView, drawn: Drawn, ratio: number): void {
    this.fitCanvas(Math.round(view.width * ratio), Math.round(view.height * ratio));
    this.pixels.fill(packed(drawn.ground));
    const radius = radiusOf(points.length, view) * ratio;
    const colours = drawn.looks.map((look) => packed(look.colour));
    const masks = drawn.looks.map((look) => this.mask(look.shape, radius));
    const [halo, ink] = [this.mask("disc", radius + 2.5 * ratio), packed(drawn.ink)];
    const [scale, left, top] = [view.scale * ratio, view.toScreenX(0) * ratio, view.toScreenY(0) * ratio];
    const put = (index: number, mask: Mask, colour: number): void => {
      this.put(Math.round(left + points.x[index]! * scale), Math.round(top + points.y[index]! * scale), mask, colour);
    };
    const { of, selected } = drawn;
    const above = [];
    for (const index of points.order) {
      const look = of[index]!;
      if (look < 0) continue;
      if (selected[index]) above.push(index);
      else put(index, masks[look]!, colours[look]!);
    }
    for (const index of above) put(index, halo, ink);
    for (const index of above) put(index, masks[of[index]!]!, colours[of[index]!]!);
    this.context.putImageData(this.image, 0, 0);
  }

  private fitCanvas(width: number, height: number): void {
    if (this.canvas.width === width && this.canvas.height === height && this.image.width === width && this.image.height === height) return;
    [this.canvas.width, this.canvas.height] = [width, height];
    this.image = this.context.createImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    // Their steps are those of the old width.
    this.masks.clear();
  }

  private put(x: number, y: number, mask: Mask, colour: number): void {
    const { pixels } = this;
    const { width, height } = this.image;
    const { reach, steps, shares } = mask;
    if (x < -reach || y < -reach || x >= width + reach || y >= height + reach) return;
    const isWhole = x >= reach && y >= reach && x < width - reach && y < height - reach;
    const middle = y * width + x;
    for (let place = 0; place < steps.length; place += 1) {
      if (!isWhole && !this.isOn(x + mask.x[place]!, y + mask.y[place]!)) continue;
      const [at, share] = [middle + steps[place]!, shares[place]!];
      pixels[at] = share === 255 ? colour : mixed(pixels[at]!, colour, share);
    }
  }

  private isOn(x: number, y: number): boolean {
    return x >= 0 && y >= 0 && x < this.image.width && y < this.image.height;
  }

  private mask(shape: Shape, radius: number): Mask {
    const name = `${shape} ${radius.toFixed(1)}`;
    const known = this.masks.get(name) ?? maskOf(shape, radius, this.image.width);
    this.masks.set(name, known);
    return known;
  }
}

/** CSS pixels: small where there are many or little room, and larger as the map is enlarged. */
export function radiusOf(count: number, view: MapView): number {
  const room = Math.min(1, Math.max(0.6, Math.min(view.width, view.height) / 520));
  const whole = room * (count > 50_000 ? 1.25 : count > 10_000 ? 1.75 : count > 2_000 ? 2.5 : count > 200 ? 4 : 5);
  // In steps: each radius has masks of its own.
  return Math.round(4 * Math.min(Math.max(7, whole), whole * Math.max(1, Math.sqrt(view.enlarged)))) / 4;
}

const inShape: Record<Shape, (x: number, y: number) => boolean> = {
  disc: (x, y) => x * x + y * y <= 1,
  dot: (x, y) => x * x + y * y <= 0.3,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.88,
  triangle: (x, y) => y <= 0.8 && y >= -1.15 + 2 * Math.abs(x),
  cross: (x, y) => Math.min(Math.abs(x - y), Math.abs(x + y)) <= 0.5 && Math.max(Math.abs(x), Math.abs(y)) <= 1.1,
};

function maskOf(shape: Shape, radius: number, width: number): Mask {
  const reach = Math.ceil(1.2 * radius);
  const covered: { x: number; y: number; share: number }[] = [];
  for (let y = -reach; y <= reach; y += 1) {
    for (let x = -reach; x <= reach; x += 1) {
      const share = Math.round((255 * pointsInside(shape, radius, x, y)) / 16);
      if (share) covered.push({ x, y, share });
    }
  }
  return {
    reach,
    x: Int32Array.from(covered, (pixel) => pixel.x),
    y: Int32Array.from(covered, (pixel) => pixel.y),
    steps: Int32Array.from(covered, (pixel) => pixel.y * width + pixel.x),
    shares: Uint8Array.from(covered, (pixel) => pixel.share),
  };
}

/** Of sixteen points of a pixel, how many lie inside of a shape. */
function pointsInside(shape: Shape, radius: number, x: number, y: number): number {
  let inside = 0;
  for (let point = 0; point < 16; point += 1) {
    const [right, down] = [((point % 4) - 1.5) / 4, (Math.floor(point / 4) - 1.5) / 4];
    if (inShape[shape]((x + right) / radius, (y + down) / radius)) inside += 1;
  }
  return inside;
}

/** As the pixels of a canvas have it on all machines of today: alpha, blue, green, red from the highest byte. */
const packed = ([red, green, blue]: readonly [number, number, number]): number => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

function mixed(under: number, over: number, share: number): number {
  const rest = 255 - share;
  const redAndBlue = ((((under & 0xff00ff) * rest + (over & 0xff00ff) * share) >>> 8) & 0xff00ff) >>> 0;
  const green = (((under & 0x00ff00) * rest + (over & 0x00ff00) * share) >>> 8) & 0x00ff00;
  return (0xff000000 | redAndBlue | green) >>> 0;
}
