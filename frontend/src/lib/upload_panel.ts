import { announce, element, find, need } from "./dom";
import { bytes, counted, number, roughTime } from "./format";
import { ApiError } from "./http";
import { refreshLive } from "./live";
import { Pace } from "./pace";
import { type Drop, type Picked, chosen, onChosen } from "./picked";
import { fingerprintOf, sendResumable } from "./resumable";
import { Unfinished } from "./unfinished";
import { type LeftOut, type Listener, type Totals, Uploader } from "./uploader";
import { dropped } from "./walk";

const TILES_EVERY_MS = 1500;
const BAR_AFTER_MS = 800;
const LISTED_AT_MOST = 200;
const MANY_FILES = 20_000;

type Progress = Pick<Totals, "files" | "filesDone">;

/** The panel on the pictures page: uploads what is dropped or chosen and shows the progress. */
export class UploadPanel implements Listener {
  private readonly uploader: Uploader;
  private readonly pace = new Pace();
  private readonly progress: HTMLElement;
  private readonly datasetId: string;
  private readonly unfinished: Unfinished;
  private startedAt = 0;
  private refreshTimer = 0;
  private waitingFor = 0;
  private ignored = 0;
  /** Drops whose folders are still being read. */
  private walks = 0;
  private archives: File[] = [];
  private archive: { name: string; size: number; sent: number; fingerprint: string } | null = null;
  private archiveAborter = new AbortController();

  constructor(private readonly root: HTMLElement) {
    const { datasetId = "", imagesUrl = "", hasPictures } = need<HTMLElement>("[data-upload]", root).dataset;
    this.datasetId = datasetId;
    this.uploader = new Uploader({ datasetId, imagesUrl, hasPictures: hasPictures !== undefined }, this);
    this.unfinished = new Unfinished(find("[data-unfinished]", root), datasetId);
    this.progress = need("[data-progress]", root);
    this.showInterrupted();
    void this.showUnfinished();
    this.wire();
    if (find("[data-busy]")) this.refreshSoon();
  }

  get isBusy(): boolean {
    return this.uploader.isBusy || this.archive !== null || this.walks > 0;
  }

  /** Send what was dropped or chosen, while its folders are still being read. */
  async take(drop: Drop): Promise<void> {
    this.showNotice("");
    if (!this.isBusy) {
      this.startedAt = performance.now();
      this.pace.reset();
      this.uploader.forgetFinished();
    }
    this.walks += 1;
    window.setTimeout(() => this.changed(), BAR_AFTER_MS + 50);
    let found = 0;
    for (let batch = await drop.batches.next(); !batch.done; batch = await drop.batches.next()) {
      found += this.takeBatch(batch.value);
    }
    this.walks -= 1;
    if (!found) this.showNotice("There are no pictures in there.", "");
    this.changed();
  }

  changed(): void {
    this.waitingFor = 0;
    this.draw();
  }

  arrived(): void {
    this.refreshSoon();
    this.drawCounts();
  }

  waiting(seconds: number): void {
    this.waitingFor = seconds;
    this.pace.reset();
    this.draw();
  }

  failed(reason: unknown): void {
    const error = reason instanceof ApiError ? reason : new ApiError(0, "", String(reason), "");
    this.showNotice(`${error.message} ${error.advice}`.trim(), this.missing());
    this.refreshSoon();
  }

  leftOut(files: LeftOut[]): void {
    const list = need("[data-left-out-list]", this.root);
    for (const { path, message } of files.slice(0, LISTED_AT_MOST - list.childElementCount)) {
      list.append(element("li", {}, element("span", { class: "mono" }, path), element("span", { class: "quiet" }, message)));
    }
    need("[data-left-out]", this.root).hidden = false;
    need("[data-left-out-count]", this.root).textContent = "Files that were not sent";
  }

  private takeBatch(picked: Picked): number {
    this.ignored += picked.ignored;
    if (picked.files.length) this.uploader.add(picked.files);
    this.archives.push(...picked.archives);
    if (picked.archives.length && !this.archive) void this.sendArchives();
    this.changed();
    return picked.files.length + picked.archives.length;
  }

  private wire(): void {
    for (const input of this.root.querySelectorAll<HTMLInputElement>("input[type=file]")) {
      onChosen(input, (files) => void this.take(chosen(files)));
    }
    need("[data-pause]", this.root).addEventListener("click", () => (this.uploader.isPaused ? this.uploader.resume() : this.uploader.pause()));
    need("[data-stop]", this.root).addEventListener("click", () => this.stop());
    window.addEventListener("beforeunload", (event) => {
      if (this.isBusy) event.preventDefault();
    });
  }

  private stop(): void {
    const isArchive = this.archive !== null;
    this.archives = [];
    this.archiveAborter.abort();
    this.archiveAborter = new AbortController();
    this.uploader.stop();
    this.showNotice("Upload stopped.", isArchive ? "What arrived is kept for 7 days. Drop the archive again to send the rest." : this.missing());
    this.refreshSoon();
  }

  /** What never came, and how to send it; empty where all of it came. */
  private missing({ files, filesDone }: Progress = this.uploader.totals): string {
    if (filesDone >= files) return "";
    const kept = filesDone ? " What arrived is kept." : "";
    return `${number(files - filesDone)} of ${counted(files, "file")} didn't arrive.${kept} Drop the folder again to send the rest; nothing is stored twice.`;
  }

  /** How far an upload is, for the case that this page is closed before its end. */
  private note(): void {
    const { files, filesDone } = this.uploader.totals;
    if (filesDone < files) localStorage.setItem(this.memory, JSON.stringify({ files, filesDone }));
    else localStorage.removeItem(this.memory);
  }

  private showInterrupted(): void {
    const before = localStorage.getItem(this.memory);
    if (!before) return;
    localStorage.removeItem(this.memory);
    this.showNotice("The last upload was interrupted.", this.missing(JSON.parse(before) as Progress));
  }

  private showUnfinished(): Promise<void> {
    return this.unfinished.show((fingerprint) => this.archive !== null && fingerprint === this.archive.fingerprint);
  }

  private get memory(): string {
    return `tellapart-upload:${this.root.dataset["page"] ?? ""}`;
  }

  private async sendArchives(): Promise<void> {
    for (let file = this.archives.shift(); file; file = this.archives.shift()) {
      const { signal } = this.archiveAborter;
      const archive = { name: file.name, size: file.size, sent: 0, fingerprint: fingerprintOf(file, file.name) };
      this.archive = archive;
      void this.showUnfinished();
      try {
        await sendResumable({
          datasetId: this.datasetId,
          file,
          path: file.name,
          kind: "archive",
          pausing: this.uploader.pausing,
          signal,
          onSent: (size) => ((archive.sent = size), this.changed()),
          onWait: (seconds) => this.waiting(seconds),
        });
      } catch (reason) {
        if (!signal.aborted) this.failed(reason);
      }
      this.refreshSoon();
    }
    this.archive = null;
    void this.showUnfinished();
    this.changed();
  }

  /** Pictures appear while others are still on their way; one request at a time, and none while nothing changes. */
  private refreshSoon(): void {
    if (this.refreshTimer) return;
    this.refreshTimer = window.setTimeout(async () => {
      // While files come, the server needn't look for a rule that suits all of them.
      const wasBusy = this.isBusy;
      await refreshLive(`${this.root.dataset["page"] ?? ""}${wasBusy ? "?uploading=true" : ""}`).catch(() => undefined);
      this.refreshTimer = 0;
      if (wasBusy || this.isBusy || find("[data-busy]")) this.refreshSoon();
    }, TILES_EVERY_MS);
  }

  private draw(): void {
    const { totals } = this.uploader;
    const size = this.uploader.expectedBytes + (this.archive?.size ?? 0);
    const sent = totals.bytesDone + (this.archive?.sent ?? 0);
    this.pace.note(sent);
    this.note();
    // Under a second there is no bar: it would only flash by.
    const isSlow = performance.now() - this.startedAt > BAR_AFTER_MS;
    this.progress.hidden = !this.isBusy || !isSlow;
    need<HTMLProgressElement>("progress", this.progress).value = size ? Math.min(1, sent / size) : 0;
    need("[data-count]", this.progress).textContent = this.countWords();
    need("[data-time]", this.progress).textContent = this.timeWords(size - sent);
    need("[data-pause]", this.progress).textContent = this.uploader.isPaused ? "Resume" : "Pause";
    need("[data-stay]", this.progress).textContent = this.stayWords();
    this.drawCounts();
  }

  private stayWords(): string {
    if (this.archive) return "Keep this page open until the archive is uploaded; if it closes, drop the archive again to continue. The server then unpacks it without this page.";
    const hint = this.uploader.totals.files > MANY_FILES ? " For so many files, a .zip or the command “tellapart upload” needs less patience." : "";
    return `Keep this page open. If it closes, drop the same folder again to send the rest.${hint}`;
  }

  private countWords(): string {
    const { files, filesDone, bytesSent, unopened } = this.uploader.totals;
    if (this.archive) return `${this.archive.name}: ${bytes(this.archive.sent)} of ${bytes(this.archive.size)}`;
    if (this.walks) return `${number(filesDone)} sent · ${counted(files, "file")} found so far`;
    return `${number(filesDone)} of ${counted(files, "file")} · ${bytes(bytesSent)} of ${unopened ? "about " : ""}${bytes(this.uploader.expectedBytes)}`;
  }

  private timeWords(bytesLeft: number): string {
    if (this.waitingFor) {
      const reached = this.archive ? bytes(this.archive.sent) : number(this.uploader.totals.filesDone);
      return `Connection lost at ${reached}. Trying again in ${this.waitingFor} s; nothing is sent twice.`;
    }
    if (this.uploader.isPaused) return "Paused";
    if (this.walks) return "Reading the folder";
    const seconds = this.pace.secondsLeft(bytesLeft);
    return seconds === null ? "Estimating time" : `${roughTime(seconds)} left`;
  }

  private drawCounts(): void {
    const { added, alreadyThere, leftOut, ignored } = this.uploader.totals;
    const system = this.ignored + ignored;
    const words = [
      added && `${counted(added, "picture")} added`,
      alreadyThere && `${number(alreadyThere)} already here`,
      leftOut && `${counted(leftOut, "file")} left out`,
      system && `${counted(system, "hidden or system file")} skipped`,
    ];
    need("[data-summary]", this.root).textContent = words.filter(Boolean).join(" · ");
  }

  private showNotice(what: string, advice = ""): void {
    const notice = need("[data-upload-error]", this.root);
    notice.hidden = !what;
    need("[data-what]", notice).textContent = what;
    need("[data-advice]", notice).textContent = advice;
  }
}

/** Take drops anywhere on the page; the browser would otherwise open the dropped picture. */
export function takeDrops(take: (drop: Drop) => void): void {
  let depth = 0;
  const mark = (isOver: boolean): void => void document.body.toggleAttribute("data-dragging", isOver);
  const carriesFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragenter", (event) => {
    if (carriesFiles(event)) mark(++depth > 0);
  });
  document.addEventListener("dragleave", (event) => {
    if (carriesFiles(event)) mark(--depth > 0);
  });
  document.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer || !carriesFiles(event)) return;
    event.preventDefault();
    mark((depth = 0) > 0);
    announce("Reading what you dropped …");
    take(dropped(event.dataTransfer));
  });
}
