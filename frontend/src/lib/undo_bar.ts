import { find, need } from "./dom";
import { ApiError, api } from "./http";
import { bindKey } from "./keys";

export interface Undone {
  batch_id: string;
  message: string;
  changes: number;
}

/**
 * The bar that says what was done last. Its buttons, `Z` and `Shift+Z` undo and redo actions on labels;
 * without `onUndo` of the page's own, the newest action of the dataset is meant.
 */
export class UndoBar {
  private readonly words: HTMLElement;
  private readonly redoButton: HTMLElement;
  private readonly path: string;

  constructor(
    private readonly bar: HTMLElement,
    private readonly changed: () => void,
    private readonly own: { undo?: () => void; redo?: () => void } = {},
  ) {
    this.words = need("[data-undo-words]", bar);
    this.redoButton = need("[data-redo]", bar);
    this.path = bar.dataset["undoPath"] ?? "";
    need("[data-undo]", bar).addEventListener("click", () => this.undo());
    this.redoButton.addEventListener("click", () => this.redo());
    // Z presses the button, see `setUpUndo`.
    bindKey("Shift+Z", "Redo what was undone last", () => this.redo());
  }

  /** Say what was done. */
  show(words: string, canRedo = false): void {
    this.words.textContent = words;
    this.redoButton.hidden = !canRedo;
    this.bar.hidden = false;
  }

  /** Undo an action, by default the newest; answers it. */
  async undoBatch(batch?: string): Promise<Undone | null> {
    return this.ask("undo", batch, (undone) => this.show(`Undone: ${undone.message}`, true));
  }

  /** Bring an action back, by default the one undone last. */
  async redoBatch(batch?: string): Promise<Undone | null> {
    return this.ask("redo", batch, (undone) => this.show(undone.message));
  }

  private undo(): void {
    if (this.own.undo) this.own.undo();
    else void this.undoBatch().then((undone) => undone && this.changed());
  }

  private redo(): void {
    if (this.own.redo) this.own.redo();
    else void this.redoBatch().then((undone) => undone && this.changed());
  }

  private async ask(what: string, batch: string | undefined, say: (undone: Undone) => void): Promise<Undone | null> {
    try {
      const undone = await api<Undone>(`${this.path}/${what}`, { method: "POST", body: batch ? { batch_id: batch } : {} });
      say(undone);
      return undone;
    } catch (reason) {
      if (!(reason instanceof ApiError)) throw reason;
      this.show(reason.sentence);
      return null;
    }
  }
}

export function undoBar(changed: () => void, own: { undo?: () => void; redo?: () => void } = {}): UndoBar | null {
  const bar = find("[data-undo-bar]");
  return bar ? new UndoBar(bar, changed, own) : null;
}
