const plain = new Intl.NumberFormat("en");

export const number = (value: number): string => plain.format(value);

export const counted = (value: number, one: string, many = `${one}s`): string => `${number(value)} ${value === 1 ? one : many}`;

/** Sizes in powers of ten, as file managers of today show them. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} bytes`;
  for (const [size, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]] as const) {
    if (value >= size) return `${value / size >= 100 ? Math.round(value / size) : (value / size).toFixed(1)} ${unit}`;
  }
  return "";
}

/** Seconds as a rough time, rounded up: to 10 s under 2 min, to 1 min under 20, to 5 above. */
export function roughTime(seconds: number): string {
  if (seconds < 120) return `about ${Math.max(10, Math.ceil(seconds / 10) * 10)} s`;
  const step = seconds < 1200 ? 1 : 5;
  const minutes = Math.ceil(seconds / 60 / step) * step;
  return minutes < 90 ? `about ${minutes} min` : `about ${(minutes / 60).toFixed(1)} h`;
}
