import { find } from "./lib/dom";
import { bindKey } from "./lib/keys";
import { refreshAnew } from "./lib/live";
import { undoBar } from "./lib/undo_bar";

const form = find<HTMLFormElement>("[data-compare]");
if (form) bindKey("d", "Compare the two versions", () => form.requestSubmit());
undoBar(() => void refreshAnew());
