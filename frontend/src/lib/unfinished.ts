import { announce, element, find } from "./dom";
import { bytes } from "./format";
import { ApiError } from "./http";
import { type UploadState, discard, unfinishedUploads } from "./resumable";

/** The list of uploads that were broken off and can go on, each with a way to give it up. */
export class Unfinished {
  constructor(
    private readonly list: HTMLElement | null,
    private readonly datasetId: string,
  ) {}

  /** `isOurs` says which are being sent by this very page. */
  async show(isOurs: (fingerprint: string | null) => boolean): Promise<void> {
    const found = await unfinishedUploads(this.datasetId).catch(() => []);
    const others = found.filter(({ fingerprint }) => !isOurs(fingerprint));
    this.list?.replaceChildren(...others.map((upload) => this.row(upload)));
  }

  private row(upload: UploadState): HTMLElement {
    const words = `${upload.path}: ${bytes(upload.offset)} of ${bytes(upload.bytes)} have arrived. Drop it again to send the rest.`;
    const button = element("button", { class: "button button-small", type: "button" }, "Discard");
    button.setAttribute("aria-label", `Discard the upload of ${upload.path}`);
    const row = element("li", {}, element("span", {}, words), button);
    button.addEventListener("click", () => {
      button.disabled = true;
      discard(upload.id).then(
        () => {
          row.remove();
          find<HTMLElement>("input[type=file]", this.list?.parentElement ?? document)?.focus();
        },
        (reason: unknown) => {
          button.disabled = false;
          announce(reason instanceof ApiError ? reason.sentence : String(reason));
        },
      );
    });
    return row;
  }
}
