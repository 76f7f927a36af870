import { all } from "./dom";

export type View = "one" | "grid";

/** One picture or many: two buttons. The choice stands in the address, and this browser remembers it. */
export class ViewSwitch {
  private chosen: View = "one";

  constructor(
    private readonly root: ParentNode,
    private readonly memory: string,
    private readonly changed: () => void,
  ) {
    for (const button of this.buttons) button.addEventListener("click", () => this.choose(button.dataset["viewAs"] === "grid" ? "grid" : "one"));
    const wanted = new URLSearchParams(location.search).get("view") ?? localStorage.getItem(memory);
    if (wanted === "grid") this.show("grid");
  }

  get isGrid(): boolean {
    return this.chosen === "grid";
  }

  toggle(): void {
    this.choose(this.isGrid ? "one" : "grid");
  }

  private choose(view: View): void {
    localStorage.setItem(this.memory, view);
    this.show(view);
    this.changed();
  }

  private show(view: View): void {
    this.chosen = view;
    const here = new URL(location.href);
    here.searchParams.set("view", view);
    history.replaceState(history.state, "", here);
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset["viewAs"] === view));
  }

  private get buttons(): HTMLElement[] {
    return all("[data-view-as]", this.root);
  }
}
