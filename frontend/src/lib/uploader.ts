import { ApiError } from "./http";
import { Pausing } from "./pausing";
import type { PickedFile } from "./picked";
import { type OpenFile, missingOf } from "./present";
import { sendResumable } from "./resumable";
import { persist, send } from "./send";

const FIRST_FILES = 8;
const FILES_A_BUNDLE = 64;
const BYTES_A_BUNDLE = 16e6;
const AT_ONCE = 3;
const FORGOTTEN_AFTER = 1000;
/** Refusals of one large file, which are no reason to stop the others. */
const OF_ONE_FILE = [413, 422];

/** A file that was left out, by the browser or by the server. */
export interface LeftOut {
  path: string;
  message: string;
}

export interface Totals {
  files: number;
  filesDone: number;
  /** Of `files`, those whose size isn't known yet. */
  unopened: number;
  /** Of those whose size is known. */
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

export interface Target {
  datasetId: string;
  imagesUrl: string;
  /** Whether the dataset has pictures already: then it is asked before each bundle what of it is there. */
  hasPictures: boolean;
}

const noTotals = (): Totals => ({ files: 0, filesDone: 0, unopened: 0, bytes: 0, bytesSent: 0, bytesDone: 0, added: 0, alreadyThere: 0, leftOut: 0, ignored: 0 });
const noAnswer = (): Answer => ({ added: 0, already_there: 0, ignored: 0, rejected: [] });

/**
 * Sends files in bundles, three at a time, and large ones each by itself in parts. Only what is under way is open;
 * everything else waits as a name, so the tab's memory doesn't grow with the folder.
 */
export class Uploader {
  readonly totals = noTotals();
  readonly pausing = new Pausing();
  private waiting: PickedFile[] = [];
  private next = 0;
  private underWay = new Map<number, number>();
  private senders = 0;
  private bundles = 0;
  private requests = 0;
  private sentBefore = 0;
  private asksFirst: boolean;
  private aborter = new AbortController();

  constructor(
    private readonly target: Target,
    private readonly listener: Listener,
  ) {
    this.asksFirst = target.hasPictures;
  }

  get isBusy(): boolean {
    return this.senders > 0 || this.next < this.waiting.length;
  }

  get isPaused(): boolean {
    return this.pausing.isPaused;
  }

  /** Bytes of all files, as if those that weren't opened yet were as large as the others. */
  get expectedBytes(): number {
    const { files } = this.totals;
    return Math.round(this.usualSize * files);
  }

  private get usualSize(): number {
    const { files, unopened, bytes } = this.totals;
    return files > unopened ? bytes / (files - unopened) : 0;
  }

  add(files: PickedFile[]): void {
    // Not by spreading: a hundred thousand arguments overflow the stack.
    for (const picked of files) {
      this.waiting.push(picked);
      this.totals.bytes += picked.size ?? 0;
      this.totals.unopened += picked.size === null ? 1 : 0;
    }
    this.totals.files += files.length;
    this.work();
  }

  pause(): void {
    this.pausing.pause();
    this.listener.changed();
  }

  resume(): void {
    this.pausing.resume();
    this.work();
    this.listener.changed();
  }

  stop(): void {
    this.aborter.abort();
    this.aborter = new AbortController();
    this.waiting = [];
    this.next = 0;
    this.pausing.resume();
    this.asksFirst = true;
    this.listener.changed();
  }

  /** Before the files of another drop are added; what the last one has brought may come again. */
  forgetFinished(): void {
    this.asksFirst ||= this.totals.filesDone > 0;
    this.waiting = [];
    this.next = 0;
    this.sentBefore = 0;
    this.bundles = 0;
    this.pausing.resume();
    Object.assign(this.totals, noTotals());
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
      try {
        await this.sendBundle(this.takeBundle());
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
    const first = FIRST_FILES * (this.bundles + 1);
    const most = Math.min(FILES_A_BUNDLE, first, Math.ceil(BYTES_A_BUNDLE / Math.max(1, this.usualSize)));
    const bundle = this.waiting.slice(this.next, this.next + most);
    this.bundles += 1;
    this.next += bundle.length;
    if (this.next > FORGOTTEN_AFTER) {
      this.waiting.splice(0, this.next);
      this.next = 0;
    }
    return bundle;
  }

  private async sendBundle(bundle: PickedFile[]): Promise<void> {
    const { signal } = this.aborter;
    for (const files of inRequests(await this.opened(bundle, signal))) {
      await this.pausing.whenResumed();
      const number = this.requests++;
      const answer = await this.sent(files, number, signal);
      this.underWay.delete(number);
      this.sentBefore += sizeOf(files);
      this.note(answer, files.length);
    }
  }

  private async sent(files: OpenFile[], number: number, signal: AbortSignal): Promise<Answer> {
    let isRepeated = false;
    let whole = files;
    const attempt = async (): Promise<Answer> => {
      // After a cut the answer may be lost, and not the files. Or one of them can't be read any more, which spoils all of a request.
      const asks = this.asksFirst || isRepeated;
      if (isRepeated) whole = await this.readable(whole);
      isRepeated = true;
      const missing = asks ? await missingOf(whole, this.target.datasetId, signal) : whole;
      const answer = missing.length ? await this.post(missing, number, signal) : noAnswer();
      return { ...answer, already_there: answer.already_there + whole.length - missing.length };
    };
    return persist(attempt, (seconds) => this.listener.waiting(seconds), signal);
  }

  private async opened(bundle: PickedFile[], signal: AbortSignal): Promise<OpenFile[]> {
    // Side by side: while a folder is read, each answer of the browser takes its time.
    const tries = await Promise.all(bundle.map(async (picked) => ({ path: picked.path, file: await picked.open().catch(() => null) })));
    signal.throwIfAborted();
    const files = tries.flatMap(({ path, file }) => (file ? [{ path, file }] : []));
    const known = bundle.reduce((sum, { size }) => sum + (size ?? 0), 0);
    this.totals.bytes += sizeOf(files) - known;
    this.totals.unopened -= bundle.filter(({ size }) => size === null).length;
    const lost = tries.filter(({ file }) => !file);
    if (lost.length) {
      this.leaveOut(lost);
      this.note(noAnswer(), lost.length);
    }
    return files;
  }

  /** Reading a byte of each costs the page half a millisecond, so it is done only where something has failed. */
  private async readable(files: OpenFile[]): Promise<OpenFile[]> {
    const isReadable = await Promise.all(files.map(({ file }) => file.slice(0, 1).arrayBuffer().then(() => true, () => false)));
    this.leaveOut(files.filter((_, place) => !isReadable[place]));
    return files.filter((_, place) => isReadable[place]);
  }

  private leaveOut(lost: { path: string }[]): void {
    if (!lost.length) return;
    this.totals.leftOut += lost.length;
    this.listener.leftOut(lost.map(({ path }) => ({ path, message: "Your browser can't read this file any more." })));
  }

  private post(files: OpenFile[], number: number, signal: AbortSignal): Promise<Answer> {
    const [first] = files;
    if (first && first.file.size > BYTES_A_BUNDLE) return this.postLarge(first, number, signal);
    const size = sizeOf(files);
    const form = new FormData();
    for (const { file, path } of files) form.append("files", file, path);
    return send(this.target.imagesUrl, form, (bytes) => this.noteSent(number, Math.min(bytes, size)), signal) as Promise<Answer>;
  }

  private async postLarge({ file, path }: OpenFile, number: number, signal: AbortSignal): Promise<Answer> {
    try {
      const state = await sendResumable({
        datasetId: this.target.datasetId,
        file,
        path,
        kind: "picture",
        pausing: this.pausing,
        signal,
        onSent: (bytes) => this.noteSent(number, bytes),
        onWait: (seconds) => this.listener.waiting(seconds),
      });
      return state.result ?? noAnswer();
    } catch (reason) {
      if (!(reason instanceof ApiError) || !OF_ONE_FILE.includes(reason.status)) throw reason;
      const left = [{ path, message: reason.message }];
      this.listener.leftOut(left);
      return { ...noAnswer(), rejected: left };
    }
  }

  private noteSent(number: number, bytes: number): void {
    this.underWay.set(number, bytes);
    this.count();
    this.listener.changed();
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

const sizeOf = (files: OpenFile[]): number => files.reduce((sum, { file }) => sum + file.size, 0);

/** As many files a request as it takes, and each of the large ones by itself. */
function inRequests(files: OpenFile[]): OpenFile[][] {
  const requests: OpenFile[][] = [];
  let size = 0;
  for (const file of files) {
    const last = requests.at(-1);
    size += file.file.size;
    if (last && size <= BYTES_A_BUNDLE) last.push(file);
    else {
      requests.push([file]);
      size = file.file.size;
    }
  }
  return requests;
}
