import { find } from "./lib/dom";
import { bindKey } from "./lib/keys";
import { UploadPanel, takeDrops } from "./lib/upload_panel";

const root = find("[data-upload-page]");
if (root) {
  const panel = new UploadPanel(root);
  takeDrops((drop) => void panel.take(drop));
  bindKey("u", "Choose pictures", () => find<HTMLInputElement>("input[type=file]:not([webkitdirectory])", root)?.click());
}
