import { address, errorOf, request } from "./http";

/** What a picture of the map is coloured by; -1: it has no value, -2: it isn't in the dataset any more. */
export interface Values {
  names: string[];
  of: Int32Array;
}

export const GONE = -2;

/** Where the pictures of a map lie, in the order that all else about them has. */
export class MapPoints {
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** In which they are drawn: mixed, so that no class covers another only because it came last. */
  readonly order: Uint32Array;
  private readonly ids: Uint8Array;

  constructor(content: ArrayBuffer) {
    const count = Math.floor(content.byteLength / 24);
    const both = new Float32Array(content, 0, 2 * count);
    this.x = both.filter((_, place) => place % 2 === 0);
    // Up is up: the screen counts downwards.
    this.y = both.filter((_, place) => place % 2 === 1).map((y) => -y);
    this.ids = new Uint8Array(content, 8 * count, 16 * count);
    this.order = shuffled(count);
  }

  get length(): number {
    return this.x.length;
  }

  id(index: number): string {
    return [...this.ids.subarray(16 * index, 16 * index + 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** The shown picture that is nearest to a point, both in the map's own measure; -1 where none is within reach. */
  nearest(x: number, y: number, reach: number, isShown: (index: number) => boolean): number {
    let [found, best] = [-1, reach * reach];
    for (let index = 0; index < this.length; index += 1) {
      const [dx, dy] = [this.x[index]! - x, this.y[index]! - y];
      const distance = dx * dx + dy * dy;
      if (distance <= best && isShown(index)) [found, best] = [index, distance];
    }
    return found;
  }

  /** The shown picture nearest to another one in a direction (a unit step); -1 where there is none. */
  towards(from: number, stepX: number, stepY: number, isShown: (index: number) => boolean): number {
    let [found, best] = [-1, Infinity];
    for (let index = 0; index < this.length; index += 1) {
      const [dx, dy] = [this.x[index]! - this.x[from]!, this.y[index]! - this.y[from]!];
      const [along, across] = [dx * stepX + dy * stepY, Math.abs(dx * stepY) + Math.abs(dy * stepX)];
      // Within 45 degrees of the direction, and what lies straight ahead rather than aside.
      if (index === from || along <= 0 || across > along || along + 2 * across >= best || !isShown(index)) continue;
      [found, best] = [index, along + 2 * across];
    }
    return found;
  }

  /** The shown pictures nearest to one, itself among them. */
  around(from: number, count: number, isShown: (index: number) => boolean): number[] {
    const distance = (index: number): number => (this.x[index]! - this.x[from]!) ** 2 + (this.y[index]! - this.y[from]!) ** 2;
    const shown = [...this.order].filter(isShown);
    return shown.sort((one, other) => distance(one) - distance(other)).slice(0, count + 1);
  }

  /** The pictures inside of a closed line, given as x, y, x, y, … in the map's own measure. */
  inside(line: readonly number[], isShown: (index: number) => boolean): number[] {
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let place = 0; place < line.length; place += 2) {
      [left, right] = [Math.min(left, line[place]!), Math.max(right, line[place]!)];
      [top, bottom] = [Math.min(top, line[place + 1]!), Math.max(bottom, line[place + 1]!)];
    }
    const found = [];
    for (let index = 0; index < this.length; index += 1) {
      const [x, y] = [this.x[index]!, this.y[index]!];
      if (x < left || x > right || y < top || y > bottom || !isShown(index)) continue;
      if (isInside(line, x, y)) found.push(index);
    }
    return found;
  }
}

/** A point is inside where a ray from it crosses the line an odd number of times. */
function isInside(line: readonly number[], x: number, y: number): boolean {
  let odd = false;
  for (let place = 0, before = line.length - 2; place < line.length; before = place, place += 2) {
    const [ax, ay, bx, by] = [line[place]!, line[place + 1]!, line[before]!, line[before + 1]!];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

/** The same order every time: the map looks the same when it is opened again. */
function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, place) => place);
  let state = 1;
  for (let place = count - 1; place > 0; place -= 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (place + 1);
    [order[place], order[other]] = [order[other]!, order[place]!];
  }
  return order;
}

/** Fetch positions. Throws ApiError. */
export async function fetchPoints(path: string): Promise<MapPoints> {
  const response = await request(address(path));
  if (!response.ok) throw errorOf(response.status, await response.json().catch(() => null));
  return new MapPoints(await response.arrayBuffer());
}
