export type Point = [x: number, y: number];

/** What was painted, in pixels of the picture. */
export type Part =
  | { kind: "rectangle"; from: Point; to: Point }
  | { kind: "brush" | "eraser"; points: Point[]; radius: number };

const SVG = "http://www.w3.org/2000/svg";
const CLOSE = 0.25;
const MOST_POINTS = 400;

/** Parts of a picture that are covered in one colour: a mask over it, in which an eraser takes away what came before. */
export class CoverCanvas {
  readonly size: { width: number; height: number };
  private readonly mask = shape("mask", { id: "cover-mask" });
  private readonly colour = shape("rect", { class: "cover-colour", width: "100%", height: "100%", mask: "url(#cover-mask)" });
  private readonly cursor = shape("g", { class: "cover-cursor" });

  constructor(readonly layer: SVGSVGElement) {
    const { width, height } = layer.viewBox.baseVal;
    this.size = { width, height };
    layer.append(this.mask, this.colour, this.cursor);
  }

  set fill(colour: string) {
    this.colour.setAttribute("fill", colour);
  }

  draw(parts: readonly Part[]): void {
    this.mask.replaceChildren(...parts.map(shapeOf));
  }

  /** Where the keys paint. */
  drawCursor([x, y]: Point, radius: number, isRectangle: boolean): void {
    const outline = isRectangle
      ? rectangle([x - radius, y - radius], [x + radius, y + radius])
      : shape("circle", { cx: String(x), cy: String(y), r: String(radius) });
    this.cursor.replaceChildren(outline);
  }

  pointOf(event: PointerEvent): Point {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.layer.getScreenCTM()?.inverse());
    return this.within([x, y]);
  }

  within([x, y]: Point): Point {
    return [Math.min(Math.max(x, 0), this.size.width), Math.min(Math.max(y, 0), this.size.height)];
  }

  /** As the API takes it: in shares of the picture's sides. */
  bodyOf(part: Part): Record<string, unknown> {
    const { width, height } = this.size;
    if (part.kind !== "rectangle") {
      const points = part.points.map(([x, y]) => [x / width, y / height]);
      return { points, radius: part.radius / Math.min(width, height), erase: part.kind === "eraser" };
    }
    const { left, top, right, bottom } = boxOf(part.from, part.to);
    return { left: left / width, top: top / height, width: (right - left) / width, height: (bottom - top) / height };
  }
}

/** Go on with a part: a stroke gets a point unless it is close to its last one, a rectangle another corner. */
export function goOn(part: Part, to: Point): void {
  if (part.kind === "rectangle") {
    part.to = to;
    return;
  }
  const [x, y] = part.points.at(-1) ?? to;
  if (Math.hypot(to[0] - x, to[1] - y) >= CLOSE * part.radius) part.points.push(to);
}

/** Whether the API takes no further point; another stroke goes on from there. */
export const isFull = (part: Part): boolean => part.kind !== "rectangle" && part.points.length >= MOST_POINTS;

const boxOf = (from: Point, to: Point): { left: number; top: number; right: number; bottom: number } => ({
  left: Math.min(from[0], to[0]),
  top: Math.min(from[1], to[1]),
  right: Math.max(from[0], to[0]),
  bottom: Math.max(from[1], to[1]),
});

function shapeOf(part: Part): SVGElement {
  if (part.kind === "rectangle") {
    const drawn = rectangle(part.from, part.to);
    drawn.setAttribute("class", "cover");
    drawn.setAttribute("fill", "white");
    return drawn;
  }
  const [first] = part.points;
  const points = part.points.length > 1 ? part.points : [first, first];
  return shape("polyline", {
    class: "cover",
    points: points.map((point) => point?.join(",")).join(" "),
    fill: "none",
    stroke: part.kind === "eraser" ? "black" : "white",
    "stroke-width": String(2 * part.radius),
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
  });
}

function rectangle(from: Point, to: Point): SVGElement {
  const { left, top, right, bottom } = boxOf(from, to);
  return shape("rect", { x: String(left), y: String(top), width: String(right - left), height: String(bottom - top) });
}

function shape(name: string, attributes: Record<string, string>): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
