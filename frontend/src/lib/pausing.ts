/** Whether an upload is paused; what is under way is broken off, and goes on where it was. */
export class Pausing {
  isPaused = false;
  private aborter = new AbortController();
  private waiting: (() => void)[] = [];

  /** Aborts at the next pause. */
  get signal(): AbortSignal {
    return this.aborter.signal;
  }

  pause(): void {
    this.isPaused = true;
    this.aborter.abort();
  }

  resume(): void {
    this.isPaused = false;
    this.aborter = new AbortController();
    for (const goOn of this.waiting.splice(0)) goOn();
  }

  /** Resolves at once, or when it is no longer paused. */
  whenResumed(): Promise<void> {
    return this.isPaused ? new Promise((resolve) => this.waiting.push(resolve)) : Promise.resolve();
  }
}
