import { all, announce, need } from "./dom";
import { ApiError, api } from "./http";

interface Answer {
  class: string;
  before: number;
  after: number;
}

interface Answers {
  items: Answer[];
  colour: string;
}

/** A class's line in the list of answers, and what it says of the picture as it is. */
interface Row {
  name: string;
  bar: HTMLMeterElement;
  share: HTMLElement;
  value: number;
  words: string;
}

/** The list of answers, which follows what is covered while it is being painted. */
export class CoverAnswers {
  private readonly words = need("[data-cover-words]");
  private readonly list = need("[data-shares]");
  private readonly rows: Row[];
  private isAsking = false;
  private latest: unknown[] = [];

  constructor(
    private readonly path: string,
    private readonly coloured: (colour: string) => void,
  ) {
    this.rows = all("li", this.list).map(rowOf);
  }

  /** Ask for the answer with these covers. While one is awaited only the newest is kept, so that painting never queues. */
  async ask(covers: unknown[]): Promise<void> {
    this.latest = covers;
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      for (let asked: unknown[] | null = null; asked !== this.latest; ) {
        asked = this.latest;
        const answers = await api<Answers>(this.path, { method: "POST", body: { covers: asked } });
        this.coloured(answers.colour);
        if (this.latest.length && asked.length) this.show(answers.items);
      }
    } catch (reason) {
      announce(reason instanceof ApiError ? reason.sentence : String(reason));
    } finally {
      this.isAsking = false;
    }
  }

  /** The answer for the picture as it is. */
  restore(): void {
    this.latest = [];
    delete this.list.dataset["covered"];
    for (const { bar, share, value, words } of this.rows) {
      bar.value = value;
      share.textContent = words;
    }
    this.words.textContent = "";
  }

  private show(items: Answer[]): void {
    const answers = new Map(items.map((item) => [item.class, item]));
    this.list.dataset["covered"] = "";
    for (const { name, bar, share } of this.rows) {
      const answer = answers.get(name);
      if (!answer) continue;
      bar.value = answer.after;
      share.textContent = `${percent(answer.before)} → ${percent(answer.after)}`;
    }
    const before = items[0];
    const after = items.reduce((best, item) => (item.after > best.after ? item : best), items[0] as Answer);
    if (!before) return;
    this.words.textContent =
      after.class === before.class
        ? `With the cover it is still ${after.class}: ${percent(after.after)}, before ${percent(before.before)}.`
        : `With the cover it is ${after.class}: ${percent(after.after)}, before ${percent(after.before)}.`;
  }
}

function rowOf(line: HTMLElement): Row {
  const bar = need<HTMLMeterElement>("meter", line);
  const share = need("[data-share]", line);
  return { name: line.dataset["class"] ?? "", bar, share, value: bar.value, words: share.textContent ?? "" };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}\u00a0%`;
