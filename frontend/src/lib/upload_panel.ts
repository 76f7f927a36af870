import { announce, element, find, need } from "./dom";
import { bytes, counted, number, roughTime } from "./format";
import { ApiError } from "./http";
import { refreshLive } from "./live";
import { Pace } from "./pace";
import { type Picked, dropped, sorted } from "./picked";
import { persist, send } from "./send";
import { type LeftAside, type Listener, Uploader } from "./uploader";

const TILES_EVERY_MS = 1500;
const BAR_AFTER_MS = 800;
const LISTED_AT_MOST = 200;

/** The panel on the pictures page: takes what is dropped or chosen and says truthfully how far it is. */
export class UploadPanel implements Listener {
  private readonly uploader: Uploader;
  private readonly pace = new Pace();
  private readonly progress: HTMLElement;
  private startedAt = 0;
  private refreshTimer = 0;
  private waitingFor = 0;
  private ignored = 0;
  private archive: { name: string; size: number; sent: number } | null = null;
  private archiveAborter = new AbortController();

  constructor(private readonly root: HTMLElement) {
    this.uploader = new Uploader(need<HTMLElement>("[data-upload]", root).dataset["imagesUrl"] ?? "", this);
    this.progress = need("[data-progress]", root);
    this.wire();
    if (find("[data-busy]")) this.refreshSoon();
  }

  get isBusy(): boolean {
    return this.uploader.isBusy || this.archive !== null;
  }

  take(picked: Picked): void {
    this.say("");
    this.ignored += picked.ignored;
    if (!this.isBusy) {
      this.startedAt = performance.now();
      this.pace.reset();
    }
    if (picked.files.length) this.uploader.add(picked.files);
    void this.sendArchives(picked.archives);
    if (!picked.files.length && !picked.archives.length) this.say("There is nothing in there that could be a picture.", "");
    this.changed();
    window.setTimeout(() => this.changed(), BAR_AFTER_MS + 50);
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
    const { filesDone } = this.uploader.totals;
    this.say(error.message, `What has arrived is kept (${counted(filesDone, "file")}). ${error.advice}`);
    this.refreshSoon();
  }

  leftAside(files: LeftAside[]): void {
    const list = need("[data-left-aside-list]", this.root);
    for (const { path, message } of files.slice(0, LISTED_AT_MOST - list.childElementCount)) {
      list.append(element("li", {}, element("span", { class: "mono" }, path), element("span", { class: "quiet" }, message)));
    }
    need("[data-left-aside]", this.root).hidden = false;
    need("[data-left-aside-count]", this.root).textContent = "Files that your browser couldn't read; choose them again";
  }

  private wire(): void {
    for (const input of this.root.querySelectorAll<HTMLInputElement>("input[type=file]")) {
      input.addEventListener("change", () => {
        if (input.files) this.take(sorted(input.files));
        input.value = "";
      });
    }
    need("[data-pause]", this.root).addEventListener("click", () => (this.uploader.isPaused ? this.uploader.resume() : this.uploader.pause()));
    need("[data-stop]", this.root).addEventListener("click", () => this.stop());
    window.addEventListener("beforeunload", (event) => {
      if (this.isBusy) event.preventDefault();
    });
  }

  private stop(): void {
    this.uploader.stop();
    this.archiveAborter.abort();
    this.archiveAborter = new AbortController();
    announce("Stopped. What has arrived stays; drop the same folder again to go on.");
    this.refreshSoon();
  }

  private async sendArchives(archives: File[]): Promise<void> {
    const url = need<HTMLElement>("[data-upload]", this.root).dataset["archiveUrl"] ?? "";
    const { signal } = this.archiveAborter;
    for (const file of archives) {
      const sent = { name: file.name, size: file.size, sent: 0 };
      this.archive = sent;
      const attempt = (): Promise<unknown> => send(url, file, (size) => ((sent.sent = size), this.changed()), signal);
      try {
        await persist(attempt, (seconds) => this.waiting(seconds), signal);
      } catch (reason) {
        if (reason instanceof ApiError) this.failed(reason);
        if (signal.aborted) break;
      }
      this.refreshSoon();
    }
    this.archive = null;
    this.changed();
  }

  /** Pictures appear while others are still on their way; one request at a time, and none while nothing changes. */
  private refreshSoon(): void {
    if (this.refreshTimer) return;
    this.refreshTimer = window.setTimeout(async () => {
      await refreshLive(this.root.dataset["page"]).catch(() => undefined);
      this.refreshTimer = 0;
      if (this.isBusy || find("[data-busy]")) this.refreshSoon();
    }, TILES_EVERY_MS);
  }

  private draw(): void {
    const { totals } = this.uploader;
    const size = totals.bytes + (this.archive?.size ?? 0);
    const sent = totals.bytesDone + (this.archive?.sent ?? 0);
    this.pace.note(sent);
    // Under a second there is no bar: it would only flash by.
    const isSlow = performance.now() - this.startedAt > BAR_AFTER_MS;
    this.progress.hidden = !this.isBusy || !isSlow;
    need<HTMLProgressElement>("progress", this.progress).value = size ? Math.min(1, sent / size) : 0;
    need("[data-count]", this.progress).textContent = this.archive
      ? `${this.archive.name}: ${bytes(this.archive.sent)} of ${bytes(this.archive.size)}`
      : `${number(totals.filesDone)} of ${counted(totals.files, "file")} · ${bytes(totals.bytesSent)} of ${bytes(totals.bytes)}`;
    need("[data-time]", this.progress).textContent = this.timeWords(size - sent);
    const pauseButton = need("[data-pause]", this.progress);
    pauseButton.hidden = this.archive !== null;
    pauseButton.textContent = this.uploader.isPaused ? "Go on" : "Pause";
    need("[data-stay]", this.progress).textContent = this.archive
      ? "Keep this page open until the file is sent; unpacking then goes on by itself."
      : "Keep this page open. If it closes, drop the same folder again: what is here is skipped.";
    this.drawCounts();
  }

  private timeWords(bytesLeft: number): string {
    if (this.waitingFor) return `Connection lost. Trying again in ${this.waitingFor} s; nothing is sent twice.`;
    if (this.uploader.isPaused) return "paused";
    const seconds = this.pace.secondsLeft(bytesLeft);
    return seconds === null ? "measuring" : `${roughTime(seconds)} left`;
  }

  private drawCounts(): void {
    const { added, alreadyThere } = this.uploader.totals;
    if (added) find("[data-drop]", this.root)?.classList.add("dropzone-small");
    const words = [added && `${number(added)} new`, alreadyThere && `${number(alreadyThere)} already here`, this.ignored && `${counted(this.ignored, "system file")} ignored`];
    need("[data-summary]", this.root).textContent = words.filter(Boolean).join(" · ");
  }

  private say(what: string, advice = ""): void {
    const notice = need("[data-upload-error]", this.root);
    notice.hidden = !what;
    need("[data-what]", notice).textContent = what;
    need("[data-advice]", notice).textContent = advice;
  }
}

/** Take drops anywhere on the page; the browser would otherwise open the dropped picture. */
export function takeDrops(take: (picked: Picked & { failed: number }) => void): void {
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
    void dropped(event.dataTransfer).then((picked) => {
      announce(picked.files.length ? `Found ${counted(picked.files.length, "file")}.` : "");
      take(picked);
    });
  });
}
