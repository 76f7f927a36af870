import { element, find, need } from "./dom";

const SHOWN = 8;

/** A field in which a class is found or made: Enter takes what is marked, the arrows mark another, Escape leaves. */
export class ClassFinder {
  private marked = 0;
  private offered: string[] = [];

  constructor(
    private readonly input: HTMLInputElement,
    private readonly list: HTMLElement,
    private readonly names: () => string[],
    private readonly choose: (name: string) => void,
  ) {
    input.addEventListener("input", () => this.draw());
    input.addEventListener("focus", () => this.draw());
    input.addEventListener("blur", () => window.setTimeout(() => this.close(), 150));
    input.addEventListener("keydown", (event) => this.key(event));
    list.addEventListener("mousedown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const option = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-name]") : null;
      if (option) this.take(option.dataset["name"] ?? "");
    });
  }

  open(): void {
    this.input.focus();
    this.input.select();
  }

  /** Take what is typed or marked. */
  submit(): void {
    const name = this.offered[this.marked] ?? this.input.value.trim();
    if (name) this.take(name);
  }

  private key(event: KeyboardEvent): void {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step && this.offered.length) {
      event.preventDefault();
      this.marked = (this.marked + step + this.offered.length) % this.offered.length;
      this.mark();
    }
    if (event.key === "Escape") {
      this.input.value = "";
      this.input.blur();
    }
    if (event.key === "Enter") {
      event.preventDefault();
      this.submit();
    }
  }

  private take(name: string): void {
    this.input.value = "";
    this.close();
    this.input.blur();
    this.choose(name);
  }

  private close(): void {
    this.offered = [];
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  /** Names that begin so stand first; what is no class yet can always be made. */
  private draw(): void {
    const typed = this.input.value.trim();
    if (!typed) return this.close();
    const folded = typed.toLocaleLowerCase();
    const names = this.names();
    const fitting = names.filter((name) => name.toLocaleLowerCase().includes(folded));
    const rank = (name: string): number => (name.toLocaleLowerCase() === folded ? 0 : name.toLocaleLowerCase().startsWith(folded) ? 1 : 2);
    fitting.sort((one, other) => rank(one) - rank(other));
    const isKnown = fitting[0] !== undefined && rank(fitting[0]) === 0;
    this.offered = [...fitting.slice(0, SHOWN), ...(isKnown ? [] : [typed])];
    this.marked = 0;
    this.list.replaceChildren(
      ...this.offered.map((name, place) =>
        element(
          "li",
          { role: "option", id: `found-class-${place}`, "data-name": name },
          !isKnown && place === this.offered.length - 1 ? `New class “${name}”` : name,
        ),
      ),
    );
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.mark();
  }

  private mark(): void {
    for (const option of this.list.children) option.setAttribute("aria-selected", "false");
    const option = this.list.children[this.marked];
    option?.setAttribute("aria-selected", "true");
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
  }
}

export function classFinder(names: () => string[], choose: (name: string) => void): ClassFinder | null {
  const input = find<HTMLInputElement>("[data-find]");
  return input ? new ClassFinder(input, need("[data-found-classes]"), names, choose) : null;
}
