const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const inSet = (text: string): string => text.replace(/[\]\\^-]/g, "\\$&");
const SIGN = /[^\p{L}\p{N}]/u;

/**
 * A pattern that finds the part of `name` which begins at `start`, and in other names the part at the same place:
 * behind as many signs of that kind, up to the next one.
 */
export function patternFor(name: string, start: number, part: string): string {
  const after = name.slice(start + part.length)[0] ?? "";
  const before = name.slice(0, start);
  const sign = [...before].reverse().find((letter) => SIGN.test(letter)) ?? "";
  if (!sign) return after ? `/([^/${inSet(after)}]+)${escaped(after)}[^/]*$` : "/([^/]+)$";
  const skipped = `[^/${inSet(sign)}]*${escaped(sign)}`;
  const count = before.split(sign).length - 1;
  const ends = after && after !== sign ? inSet(after) : "";
  return `/${count > 1 ? `(?:${skipped}){${count}}` : skipped}([^/${inSet(sign)}${ends}]+)[^/]*$`;
}
