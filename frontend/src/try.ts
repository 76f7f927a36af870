import { all, announce, element, find, need } from "./lib/dom";
import { ApiError, request } from "./lib/http";
import { onChosen } from "./lib/picked";
import { droppedFiles } from "./lib/walk";

/** Pictures of one request: small, so that answers come soon and a large drop needs no other limit. */
const AT_ONCE = 8;
const form = need<HTMLFormElement>("[data-try]");
const answers = need("[data-answers]");
let latest = 0;

async function fetchAnswers(init: RequestInit, path: string): Promise<Node[]> {
  const response = await request(path, { ...init, headers: { "HX-Request": "true" } });
  // The server has escaped every name in its answer; pictures are put in from here, they never come back.
  const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
  return [...parsed.body.childNodes].map((node) => document.adoptNode(node));
}

function showPreviews(nodes: Node[], files: File[]): void {
  const images = nodes.flatMap((node) => (node instanceof Element ? all<HTMLImageElement>("img[data-preview]", node) : []));
  for (const image of images) {
    const file = files[Number(image.dataset["preview"])];
    if (!file) continue;
    const address = URL.createObjectURL(file);
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.addEventListener("error", () => (image.hidden = true), { once: true });
    image.src = address;
    image.hidden = false;
  }
}

function sentenceOf(reason: unknown): string {
  if (reason instanceof ApiError) return reason.sentence;
  return reason instanceof Error ? reason.message : String(reason);
}

/** Runs what fills the answers; what a newer request has overtaken is dropped. */
async function fill(words: string, work: (isLatest: () => boolean, status: HTMLElement) => Promise<void>): Promise<void> {
  const mine = ++latest;
  const isLatest = (): boolean => mine === latest;
  const status = element("p", { class: "quiet", role: "status" }, words);
  answers.setAttribute("aria-busy", "true");
  answers.replaceChildren(status);
  try {
    await work(isLatest, status);
  } catch (reason) {
    if (isLatest()) announce(sentenceOf(reason));
  } finally {
    if (isLatest()) {
      answers.removeAttribute("aria-busy");
      status.remove();
    }
  }
}

async function predict(files: File[]): Promise<void> {
  await fill("Predicting …", async (isLatest, status) => {
    for (let start = 0; start < files.length && isLatest(); start += AT_ONCE) {
      const some = files.slice(start, start + AT_ONCE);
      if (files.length > AT_ONCE) status.textContent = `Predicting: ${start} of ${files.length} pictures done`;
      const body = new FormData();
      for (const file of some) body.append("files", file, file.name || "pasted picture");
      const nodes = await fetchAnswers({ method: "POST", body }, location.pathname);
      if (!isLatest()) return;
      showPreviews(nodes, some);
      status.before(...nodes);
    }
  });
}

function take(chosen: Iterable<File>): void {
  const files = [...chosen].filter((file) => file.size > 0);
  if (!files.length) return announce("No picture was found in what you dropped.");
  void predict(files);
}

for (const input of all<HTMLInputElement>("input[type=file]", form)) onChosen(input, take);
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
  const data = event.dataTransfer;
  if (data) void droppedFiles(data).then(take, (reason: unknown) => announce(sentenceOf(reason)));
});
document.addEventListener("click", (event) => {
  const sample = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("[data-sample]") : null;
  if (!sample || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const show = fill("Predicting …", async (isLatest, status) => {
    const nodes = await fetchAnswers({}, sample.href);
    if (isLatest()) status.before(...nodes);
  });
  void show.then(() => answers.scrollIntoView({ block: "nearest" }));
});
