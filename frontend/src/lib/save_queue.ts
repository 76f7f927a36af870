import { ApiError, api } from "./http";
import { persist } from "./send";

export interface Changed {
  batch_id: string | null;
  message: string;
  changed: number;
}

/** Saves one change after the other behind the person's back; what can't be saved for now is tried again. */
export class SaveQueue {
  private last: Promise<unknown> = Promise.resolve();
  private open = 0;

  constructor(
    private readonly path: string,
    private readonly onOpen: (open: number) => void,
  ) {
    // Half a dozen labels may not be lost by closing the tab.
    window.addEventListener("beforeunload", (event) => this.open && event.preventDefault());
  }

  /** Everything that was asked for is stored, or was refused. */
  get done(): Promise<unknown> {
    return this.last;
  }

  /** Store a change after all others. Rejects with the server's refusal. */
  save(body: unknown): Promise<Changed> {
    this.count(1);
    const stop = new AbortController();
    const mine = this.last.then(() =>
      persist(() => api<Changed>(this.path, { method: "PATCH", body }), () => undefined, stop.signal),
    );
    this.last = mine.catch((reason: unknown) => {
      if (!(reason instanceof ApiError)) throw reason;
    }).finally(() => this.count(-1));
    return mine;
  }

  private count(by: number): void {
    this.open += by;
    this.onOpen(this.open);
  }
}
