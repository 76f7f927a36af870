const WINDOW_MS = 20_000;

/** How fast bytes went in the last 20 seconds; a rough time only once three have passed. */
export class Pace {
  private samples: [time: number, bytes: number][] = [];

  note(bytes: number, now = performance.now()): void {
    const last = this.samples.at(-1);
    if (last && now - last[0] < 250) return;
    this.samples.push([now, bytes]);
    while (this.samples.length > 2 && now - (this.samples[0]?.[0] ?? now) > WINDOW_MS) this.samples.shift();
  }

  secondsLeft(bytesLeft: number): number | null {
    const first = this.samples[0];
    const last = this.samples.at(-1);
    if (!first || !last || last[0] - first[0] < 3000 || last[1] <= first[1]) return null;
    return (bytesLeft * (last[0] - first[0])) / (last[1] - first[1]) / 1000;
  }

  reset(): void {
    this.samples = [];
  }
}
