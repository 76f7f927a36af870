/** Learning rates as people write them, and what a stage gets of one. */

/** `2.5e-3`; the same as `backend.domain.lr_finder.words`. */
export function words(rate: number): string {
  if (rate >= 1) return String(Number(rate.toPrecision(2)));
  const [digits = "", power = ""] = rate.toExponential(1).split("e");
  return `${digits.replace(/\.0$/, "")}e${Number(power)}`;
}

/** A typed rate; null where it is none that can be used. */
export function rateOf(text: string): number | null {
  const rate = Number(text.trim().replace(",", "."));
  return text.trim() && Number.isFinite(rate) && rate >= 1e-9 && rate <= 10 ? rate : null;
}

/** What lowest layers and head get where everything learns; as `backend.domain.lr_finder.max_lr_for`. */
export const pairOf = (rate: number): [number, number] => [rate / 100, rate / 10];
