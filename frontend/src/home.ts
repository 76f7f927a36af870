import { all, announce, find } from "./lib/dom";
import { ApiError, address, api, request } from "./lib/http";
import { onReturn, onServerEvent } from "./lib/events";
import { bindKey } from "./lib/keys";
import { refreshLive } from "./lib/live";
import { type Drop, type Picked, chosen, onChosen } from "./lib/picked";
import { UploadPanel, takeDrops } from "./lib/upload_panel";

let panel: UploadPanel | null = null;

/** A drop here makes a dataset. Its page is put in place of this one without leaving, so that the upload goes on. */
async function begin(drop: Drop): Promise<void> {
  if (panel) return panel.take(drop);
  const found = await firstWithFiles(drop.batches);
  if (!found) return announce("There are no pictures in there.");
  const dataset = await api<{ id: string }>("/api/v1/datasets", { method: "POST", body: { name: drop.name } });
  const path = address(`/datasets/${dataset.id}`);
  const response = await request(path, { headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const main = find("main");
  const freshMain = find("main", fresh);
  if (!main || !freshMain) return location.assign(path);
  await takeStyles(fresh);
  main.replaceWith(document.adoptNode(freshMain));
  document.body.className = fresh.body.className;
  document.title = fresh.title;
  history.pushState(null, "", path);
  window.addEventListener("popstate", () => location.reload());
  const root = find("[data-upload-page]");
  if (!root) return;
  panel = new UploadPanel(root);
  await panel.take({ ...drop, batches: continued(found, drop.batches) });
}

/** Stylesheets of another page that this one lacks; it isn't shown before they are here. */
async function takeStyles(page: Document): Promise<void> {
  const lacking = all<HTMLLinkElement>("link[rel=stylesheet]", page).filter((sheet) => !find(`link[href="${CSS.escape(sheet.getAttribute("href") ?? "")}"]`));
  const arrived = lacking.map((sheet) => {
    const own = document.adoptNode(sheet);
    const settled = new Promise((done) => ["load", "error"].forEach((name) => own.addEventListener(name, done, { once: true })));
    document.head.append(own);
    return settled;
  });
  await Promise.all(arrived);
}

async function firstWithFiles(batches: AsyncIterator<Picked>): Promise<Picked | null> {
  let ignored = 0;
  for (let batch = await batches.next(); !batch.done; batch = await batches.next()) {
    ignored += batch.value.ignored;
    if (batch.value.files.length || batch.value.archives.length) return { ...batch.value, ignored };
  }
  return null;
}

async function* continued(first: Picked, rest: AsyncIterator<Picked>): AsyncGenerator<Picked> {
  yield first;
  for (let batch = await rest.next(); !batch.done; batch = await rest.next()) yield batch.value;
}

function beginOrSay(drop: Drop): void {
  begin(drop).catch((reason: unknown) => announce(reason instanceof ApiError ? reason.sentence : String(reason)));
}

takeDrops(beginOrSay);
for (const input of document.querySelectorAll<HTMLInputElement>("input[data-begins]")) {
  onChosen(input, (files) => beginOrSay(chosen(files)));
}
bindKey("n", "New dataset", () => location.assign(address("/datasets/new")));

let refreshing = 0;
const refresh = (): void => {
  window.clearTimeout(refreshing);
  if (!panel) refreshing = window.setTimeout(() => void refreshLive().catch(() => undefined), 1000);
};
onServerEvent("pill", refresh);
onReturn(refresh);
