import { announce, element, find, need } from "./dom";
import { bytes, counted, number, roughTime } from "./format";
import { ApiError } from "./http";
import { refreshLive } from "./live";
import { Pace } from "./pace";
import { type Picked, dropped, sorted } from "./picked";
import { persist, send } from "./send";
import { type LeftOut, type Listener, type Totals, Uploader } from "./uploader";

const TILES_EVERY_MS = 1500;
const BAR_AFTER_MS = 800;
const LISTED_AT_MOST = 200;

type Progress = Pick<Totals, "files" | "filesDone">;

/** The panel on the pictures page: uploads what is dropped or chosen and shows the progress. */
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
    this.showInterrupted();
    if (find("[data-busy]")) this.refreshSoon();
  }

  get isBusy(): boolean {
    return this.uploader.isBusy || this.archive !== null;
  }

  take(picked: Picked): void {
    this.showNotice("");
    this.ignored += picked.ignored;
    if (!this.isBusy) {
      this.startedAt = performance.now();
      this.pace.reset();
    }
    if (picked.files.length) this.uploader.add(picked.files);
    void this.sendArchives(picked.archives);
    if (!picked.files.length && !picked.archives.length) this.showNotice("There are no pictures in there.", "");
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
    this.showNotice(`${error.message} ${error.advice}`.trim(), this.missing());
    this.refreshSoon();
  }

  leftOut(files: LeftOut[]): void {
    const list = need("[data-left-out-list]", this.root);
    for (const { path, message } of files.slice(0, LISTED_AT_MOST - list.childElementCount)) {
      list.append(element("li", {}, element("span", { class: "mono" }, path), element("span", { class: "quiet" }, message)));
    }
    need("[data-left-out]", this.root).hidden = false;
    need("[data-left-out-count]", this.root).textContent = "Files that your browser couldn't read; choose them again";
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
    const isArchive = this.archive !== null;
    this.uploader.stop();
    this.archiveAborter.abort();
    this.archiveAborter = new AbortController();
    this.showNotice("Upload stopped.", isArchive ? "The archive wasn't added. Drop it again to start over." : this.missing());
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

  private get memory(): string {
    return `tellapart-upload:${this.root.dataset["page"] ?? ""}`;
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
      // While files come, the server needn't look for a rule that suits all of them.
      const wasBusy = this.isBusy;
      await refreshLive(`${this.root.dataset["page"] ?? ""}${wasBusy ? "?uploading=true" : ""}`).catch(() => undefined);
      this.refreshTimer = 0;
      if (wasBusy || this.isBusy || find("[data-busy]")) this.refreshSoon();
    }, TILES_EVERY_MS);
  }

  private draw(): void {
    const { totals } = this.uploader;
    const size = totals.bytes + (this.archive?.size ?? 0);
    const sent = totals.bytesDone + (this.archive?.sent ?? 0);
    this.pace.note(sent);
    this.note();
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
    pauseButton.textContent = this.uploader.isPaused ? "Resume" : "Pause";
    need("[data-stay]", this.progress).textContent = this.archive
      ? "Keep this page open until the archive is uploaded. The server then unpacks it, and you can close the page."
      : "Keep this page open. If it closes, drop the same folder again to send the rest.";
    this.drawCounts();
  }

  private timeWords(bytesLeft: number): string {
    if (this.waitingFor) return `Connection lost. Trying again in ${this.waitingFor} s.`;
    if (this.uploader.isPaused) return "Paused";
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
