import { need } from "./dom";
import { ApiError } from "./http";

/** The notice above a page that saves in the background: why a change was refused. */
export class ProblemBox {
  private readonly box: HTMLElement;

  constructor(root: ParentNode) {
    this.box = need("[data-problem]", root);
  }

  hide(): void {
    this.box.hidden = true;
  }

  /** Where somebody else was faster, the person decides whose label counts. */
  show(reason: unknown, decide?: { mine: () => void; theirs: () => void }): void {
    const error = reason instanceof ApiError ? reason : null;
    need("[data-what]", this.box).textContent = error?.message ?? "This change could not be saved.";
    need("[data-advice]", this.box).textContent = error?.advice ?? "";
    need("[data-conflict]", this.box).hidden = !decide || error?.code !== "label-changed";
    need("[data-use-mine]", this.box).onclick = () => decide?.mine();
    need("[data-keep-theirs]", this.box).onclick = () => {
      this.hide();
      decide?.theirs();
    };
    this.box.hidden = false;
  }
}
