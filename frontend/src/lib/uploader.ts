import type { PickedFile } from "./picked";
import { persist, send } from "./send";

const FIRST_FILES = 8;
const FILES_A_BUNDLE = 64;
const BYTES_A_BUNDLE = 16e6;
const AT_ONCE = 3;

/** A file that was left out, by the browser or by the server. */
export interface LeftOut {
  path: string;
  message: string;
}

export interface Totals {
  files: number;
  filesDone: number;
  bytes: number;
  bytesSent: number;
  /** Bytes of what is done; what is sent but not yet read by the server counts half. */
  bytesDone: number;
  added: number;
  alreadyThere: number;
  leftOut: number;
  /** Hidden and system files that the server passed over. */
  ignored: number;
}

interface Answer {
  added: number;
  already_there: number;
  ignored: number;
  rejected: LeftOut[];
}

export interface Listener {
  changed(): void;
  /** Some pictures have arrived. */
  arrived(): void;
  leftOut(files: LeftOut[]): void;
  waiting(seconds: number): void;
  failed(reason: unknown): void;
}

/**
 * Sends files in bundles, three at a time. Only the bundles under way exist as requests; everything else waits as
 * a list of handles, so the tab's memory doesn't grow with the folder.
 */
export class Uploader {
  readonly totals: Totals = { files: 0, filesDone: 0, bytes: 0, bytesSent: 0, bytesDone: 0, added: 0, alreadyThere: 0, leftOut: 0, ignored: 0 };
  isPaused = false;
  private waiting: PickedFile[] = [];
  private next = 0;
  private underWay = new Map<number, number>();
  private senders = 0;
  private bundles = 0;
  private sentBefore = 0;
  private aborter = new AbortController();

  constructor(
    private readonly url: string,
    private readonly listener: Listener,
  ) {}

  get isBusy(): boolean {
    return this.senders > 0 || this.next < this.waiting.length;
  }

  add(files: PickedFile[]): void {
    if (!this.isBusy) this.forgetFinished();
    // Not by spreading: a hundred thousand arguments overflow the stack.
    for (const picked of files) {
      this.waiting.push(picked);
      this.totals.bytes += picked.file.size;
    }
    this.totals.files += files.length;
    this.work();
  }

  pause(): void {
    this.isPaused = true;
    this.listener.changed();
  }

  resume(): void {
    this.isPaused = false;
    this.work();
    this.listener.changed();
  }

  stop(): void {
    this.aborter.abort();
    this.aborter = new AbortController();
    this.waiting = [];
    this.next = 0;
    this.isPaused = false;
    this.listener.changed();
  }

  private forgetFinished(): void {
    this.waiting = [];
    this.next = 0;
    this.sentBefore = 0;
    this.bundles = 0;
    this.isPaused = false;
    Object.assign(this.totals, { files: 0, filesDone: 0, bytes: 0, bytesSent: 0, bytesDone: 0, added: 0, alreadyThere: 0, leftOut: 0, ignored: 0 });
  }

  private work(): void {
    while (this.senders < AT_ONCE && !this.isPaused && this.next < this.waiting.length) {
      this.senders += 1;
      void this.sendBundles().finally(() => {
        this.senders -= 1;
        this.listener.changed();
      });
    }
  }

  private async sendBundles(): Promise<void> {
    while (!this.isPaused && this.next < this.waiting.length) {
      const bundle = this.takeBundle();
      const number = this.bundles++;
      try {
        await this.sendBundle(bundle, number);
      } catch (reason) {
        if (reason instanceof DOMException && reason.name === "AbortError") return;
        this.stop();
        this.listener.failed(reason);
        return;
      }
    }
  }

  private takeBundle(): PickedFile[] {
    // The first ones are small, so that pictures appear soon; the server is busy with each longer than the network.
    const most = Math.min(FILES_A_BUNDLE, FIRST_FILES * (this.bundles + 1));
    const bundle: PickedFile[] = [];
    let bytes = 0;
    for (let file = this.waiting[this.next]; file && bundle.length < most; file = this.waiting[this.next]) {
      if (bundle.length && bytes + file.file.size > BYTES_A_BUNDLE) break;
      bundle.push(file);
      bytes += file.file.size;
      this.next += 1;
    }
    return bundle;
  }

  private async sendBundle(bundle: PickedFile[], number: number): Promise<void> {
    const { signal } = this.aborter;
    const size = sizeOf(bundle);
    const readable = await this.withoutUnreadable(bundle);
    const answer = readable.length
      ? await persist(() => this.post(readable, number, signal), (seconds) => this.listener.waiting(seconds), signal)
      : { added: 0, already_there: 0, ignored: 0, rejected: [] };
    this.underWay.delete(number);
    this.sentBefore += size;
    this.note(answer as Answer, bundle.length);
  }

  /** A file that vanished since it was chosen would spoil its whole bundle. */
  private async withoutUnreadable(bundle: PickedFile[]): Promise<PickedFile[]> {
    const readable: PickedFile[] = [];
    const lost: LeftOut[] = [];
    for (const picked of bundle) {
      const isThere = await picked.file.slice(0, 1).arrayBuffer().then(() => true, () => false);
      if (isThere) readable.push(picked);
      else lost.push({ path: picked.path, message: "Your browser can't read this file any more." });
    }
    if (lost.length) {
      this.totals.leftOut += lost.length;
      this.listener.leftOut(lost);
    }
    return readable;
  }

  private post(bundle: PickedFile[], number: number, signal: AbortSignal): Promise<unknown> {
    const size = sizeOf(bundle);
    const form = new FormData();
    for (const { file, path } of bundle) form.append("files", file, path);
    const onSent = (bytes: number): void => {
      this.underWay.set(number, Math.min(bytes, size));
      this.count();
      this.listener.changed();
    };
    return send(this.url, form, onSent, signal);
  }

  private count(): void {
    const underWay = [...this.underWay.values()].reduce((sum, part) => sum + part, 0);
    this.totals.bytesSent = this.sentBefore + underWay;
    this.totals.bytesDone = this.sentBefore + underWay / 2;
  }

  private note(answer: Answer, files: number): void {
    this.totals.filesDone += files;
    this.totals.added += answer.added;
    this.totals.alreadyThere += answer.already_there;
    this.totals.leftOut += answer.rejected.length;
    this.totals.ignored += answer.ignored;
    this.count();
    this.listener.arrived();
    this.listener.changed();
  }
}

const sizeOf = (bundle: PickedFile[]): number => bundle.reduce((sum, { file }) => sum + file.size, 0);
