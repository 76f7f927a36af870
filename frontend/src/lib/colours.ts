import { element } from "./dom";

/** A token's colour as the canvas understands it: the browser resolves light-dark() on a probe. */
export function resolver(root: HTMLElement): (token: string) => string {
  const found = new Map<string, string>();
  return (token) => {
    const known = found.get(token);
    if (known) return known;
    const probe = element("span", { hidden: "" });
    probe.style.color = `var(${token})`;
    root.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    found.set(token, colour);
    return colour;
  };
}
