import { all, announce, element, find, need } from "./lib/dom";
import { request } from "./lib/http";

const MOST = 64;
const form = need<HTMLFormElement>("[data-try]");
const answers = need("[data-answers]");
let latest = 0;

async function fetchAnswers(init: RequestInit, path: string): Promise<string> {
  const response = await request(path, { ...init, headers: { "HX-Request": "true" } });
  return response.text();
}

/** The server has escaped every name in its answer; pictures are put in from here, they never come back. */
function put(html: string, files: File[]): void {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  answers.replaceChildren(...[...parsed.body.childNodes].map((node) => document.adoptNode(node)));
  for (const image of all<HTMLImageElement>("img[data-preview]", answers)) {
    const file = files[Number(image.dataset["preview"])];
    if (!file) continue;
    const address = URL.createObjectURL(file);
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.addEventListener("error", () => (image.hidden = true), { once: true });
    image.src = address;
    image.hidden = false;
  }
}

async function ask(path: string, init: RequestInit, files: File[], words: string): Promise<void> {
  const mine = ++latest;
  answers.setAttribute("aria-busy", "true");
  const slow = window.setTimeout(() => answers.replaceChildren(element("p", { class: "quiet" }, words)), 400);
  try {
    const html = await fetchAnswers(init, path);
    if (mine === latest) put(html, files);
  } catch (reason) {
    announce(reason instanceof Error ? reason.message : String(reason));
  } finally {
    window.clearTimeout(slow);
    if (mine === latest) answers.removeAttribute("aria-busy");
  }
}

function take(chosen: Iterable<File>): void {
  const files = [...chosen];
  if (!files.length) return announce("There is no picture in there.");
  if (files.length > MOST) return announce(`Up to ${MOST} pictures at a time; choose fewer.`);
  const body = new FormData();
  for (const file of files) body.append("files", file, file.name || "pasted picture");
  void ask(location.pathname, { method: "POST", body }, files, `Looking at ${files.length === 1 ? "it" : `${files.length} pictures`} …`);
}

for (const input of all<HTMLInputElement>("input[type=file]", form)) {
  input.addEventListener("change", () => {
    if (input.files) take(input.files);
    input.value = "";
  });
}
find("[data-no-script]", form)?.remove();
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  event.preventDefault();
  take(files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.dataset["over"] = "";
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) delete form.dataset["over"];
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  delete form.dataset["over"];
  take(event.dataTransfer?.files ?? []);
});
document.addEventListener("click", (event) => {
  const sample = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("[data-sample]") : null;
  if (!sample || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  void ask(sample.href, {}, [], "Looking at it …").then(() => answers.scrollIntoView({ block: "nearest" }));
});
