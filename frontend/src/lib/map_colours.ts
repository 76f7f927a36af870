import type { Look, Shape } from "./map_raster";
import type { Values } from "./map_points";

type Rgb = readonly [number, number, number];

/** Told apart on a light and on a dark ground, also by eyes that confuse red and green (after Okabe and Ito). */
const FIRST: readonly Rgb[] = [
  [0, 114, 178], [230, 130, 0], [0, 158, 115], [204, 105, 167], [86, 180, 233], [190, 66, 20],
  [132, 110, 190], [150, 140, 30], [120, 85, 70], [0, 150, 160], [225, 95, 95], [110, 120, 130],
];
const SIGNS: Record<Shape, string> = { disc: "●", cross: "✕", square: "■", triangle: "▲", dot: "•" };

/** How one value is drawn, what it is called, and how many pictures have it. */
export interface Entry extends Look {
  name: string;
  sign: string;
  count: number;
  /** Index into the values' names; -1 for pictures without a value. */
  value: number;
}

/** What a page's colours are: `colourOf` resolves a token. */
export type ColourOf = (token: string) => Rgb;

/** One entry for each value, the most frequent first, then what has none; `by` as in the API. */
export function legendOf(by: string, values: Values, colourOf: ColourOf): Entry[] {
  const counts = new Map<number, number>();
  for (const value of values.of) counts.set(value, (counts.get(value) ?? 0) + 1);
  const grey = colourOf("--line-strong");
  const entry = (name: string, value: number, colour: Rgb, shape: Shape): Entry => ({ name, value, colour, shape, sign: SIGNS[shape], count: counts.get(value) ?? 0 });
  const known = values.names.map((name, value) => ({ name, value, count: counts.get(value) ?? 0 })).filter(({ count }) => count > 0);
  const none = counts.has(-1) ? [entry(noneOf(by), -1, grey, "dot")] : [];
  if (by === "result") {
    const [ok, bad] = [colourOf("--ok"), colourOf("--bad")];
    // Few are wrong, and these are looked for.
    return [...known.reverse().map(({ name, value }) => (name === "wrong" ? entry(name, value, bad, "cross") : entry(name, value, ok, "disc"))), ...none];
  }
  if (by === "split") {
    const shapes: Shape[] = ["disc", "square", "triangle"];
    return [...known.map(({ name, value }) => entry(name, value, FIRST[value] ?? grey, shapes[value] ?? "disc")), ...none];
  }
  // By name, so that a class keeps its colour whatever is relabelled.
  const colours = new Map(values.names.map((_, value) => [value, FIRST[value] ?? further(value)]));
  const sorted = known.sort((one, other) => other.count - one.count || one.value - other.value);
  return [...sorted.map(({ name, value }) => entry(name, value, colours.get(value) ?? grey, "disc")), ...none];
}

const noneOf = (by: string): string => ({ class: "no label", split: "not in the newest version" })[by] ?? "not tested";

/** Beyond the first twelve: hues a golden angle apart, in three lightnesses. */
function further(value: number): Rgb {
  const [hue, lightness] = [(value * 137.508) % 360, [0.42, 0.55, 0.66][value % 3]!];
  const reach = 0.6 * Math.min(lightness, 1 - lightness);
  const part = (offset: number): number => {
    const at = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(at - 3, 9 - at, 1))));
  };
  return [part(0), part(8), part(4)];
}

/** Red, green and blue of a colour as browsers compute it. */
export function rgbOf(colour: string): Rgb {
  const [red = 0, green = 0, blue = 0] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  // color(srgb …) counts to 1.
  return colour.startsWith("color(") ? [255 * red, 255 * green, 255 * blue] : [red, green, blue];
}
