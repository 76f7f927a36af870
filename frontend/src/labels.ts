import htmx from "htmx.org";
import { all, announce, find, need } from "./lib/dom";
import { onReturn } from "./lib/events";
import { ApiError, api, errorOf, request } from "./lib/http";
import { bindKey } from "./lib/keys";
import { patternFor } from "./lib/pattern_for";
import { type UndoBar, undoBar } from "./lib/undo_bar";

const WAIT_MS = 200;

/** What a rule gives is shown while it is edited; the old answer stays, greyed, until the new one is there. */
class LabelsPage {
  private readonly preview = need("[data-preview]");
  private timer = 0;
  private asked: AbortController | null = null;
  private shown = 0;
  private readonly undo: UndoBar | null = undoBar(() => this.ask(0));

  constructor(private readonly form: HTMLFormElement) {
    form.addEventListener("input", () => this.ask(WAIT_MS));
    form.addEventListener("keydown", (event) => {
      // Enter in a field shows; only the button freezes.
      if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement)) return;
      event.preventDefault();
      if (event.target.matches("[data-edit-to]")) return;
      this.ask(0);
    });
    this.preview.addEventListener("click", (event) => {
      const target = event.target instanceof Element ? event.target : null;
      const turn = target?.closest<HTMLElement>("[data-turn]");
      const part = target?.closest<HTMLElement>("[data-part]");
      if (turn) this.turn(Number(turn.dataset["turn"]));
      if (part) void this.takePart(part);
      const edited = target?.closest<HTMLElement>("[data-edit-class]");
      if (edited) this.edit(edited.dataset["editClass"] ?? "");
    });
    form.addEventListener("submit", (event) => {
      const button = event.submitter;
      if (!(button instanceof HTMLButtonElement) || !button.matches("[data-class-change]")) return;
      event.preventDefault();
      void this.changeClasses(button);
    });
    onReturn(() => this.preview.dataset["stale"] && this.ask(0));
    this.follow();
  }

  /** What is shown is old from the first key on, so nothing can be frozen until the answer is there. */
  ask(wait: number): void {
    window.clearTimeout(this.timer);
    this.asked?.abort();
    this.allow(false);
    this.preview.dataset["stale"] = "true";
    if (this.isIncomplete()) return;
    this.timer = window.setTimeout(() => void this.show(), wait);
  }

  turn(by: number): void {
    const samples = all("[data-sample]", this.preview);
    if (!samples.length) return;
    this.shown = (this.shown + by + samples.length) % samples.length;
    samples.forEach((sample, index) => (sample.hidden = index !== this.shown));
  }

  choose(number: number): void {
    const radio = all<HTMLInputElement>("input[name=kind]", this.form)[number];
    if (!radio) return;
    radio.checked = true;
    radio.focus();
    this.ask(0);
  }

  /** The fields for a class, with this one chosen. */
  private edit(name: string): void {
    const box = need<HTMLDetailsElement>("[data-edit-class-box]", this.preview);
    box.open = true;
    need<HTMLSelectElement>("[data-edit-from]", box).value = name;
    const to = need<HTMLInputElement>("[data-edit-to]", box);
    to.value = name;
    to.focus();
    to.select();
  }

  /** Rename, merge or leave out, and show what it gives. */
  private async changeClasses(button: HTMLButtonElement): Promise<void> {
    const fields = new URLSearchParams();
    new FormData(this.form, button).forEach((value, name) => fields.append(name, String(value)));
    button.setAttribute("aria-busy", "true");
    const response = await request(button.formAction, { method: "POST", body: fields, headers: { Accept: "application/json", "HX-Request": "true" } }).catch(() => null);
    button.removeAttribute("aria-busy");
    if (!response) return;
    const answer: unknown = await response.json().catch(() => null);
    if (!response.ok) return this.undo?.show(errorOf(response.status, answer).sentence);
    this.undo?.show((answer as { message: string }).message);
    this.ask(0);
  }

  private async show(): Promise<void> {
    const asked = (this.asked = new AbortController());
    try {
      const text = await this.fetchPreview(asked.signal);
      this.clear();
      await htmx.swap({ text, target: this.preview, swap: "innerHTML" });
      delete this.preview.dataset["stale"];
      this.turn(0);
      this.follow();
    } catch (reason) {
      // What the banner says needs no second sentence here; the preview is asked for again when the server answers.
      if (reason instanceof ApiError && ![0, 401].includes(reason.status)) this.refuse(reason);
    }
  }

  /** Whether there is nothing to ask yet: no table among the files, or a field that is still empty and says what to do. */
  private isIncomplete(): boolean {
    const kind = this.form.querySelector<HTMLInputElement>("input[name=kind]:checked")?.value ?? "";
    const fields = need(`[data-kind="${kind}"]`, this.form);
    const needed = find<HTMLInputElement>(`[name="${fields.dataset["needs"] ?? ""}"]`, fields);
    const isEmpty = needed !== null && !needed.value.trim();
    if (isEmpty || "unusable" in fields.dataset) this.clear();
    if (isEmpty) need("[data-rule-hint]", this.form).textContent = fields.dataset["emptyHint"] ?? "";
    return isEmpty || "unusable" in fields.dataset;
  }

  private async fetchPreview(signal: AbortSignal): Promise<string> {
    const fields = new URLSearchParams();
    new FormData(this.form).forEach((value, name) => fields.append(name, String(value)));
    const url = this.form.dataset["previewUrl"] ?? "";
    const response = await request(url, { method: "POST", body: fields, headers: { Accept: "application/json", "HX-Request": "true" }, signal });
    if (!response.ok) throw errorOf(response.status, await response.json().catch(() => null));
    return response.text();
  }

  /** Each field's sentence stands beside it. */
  private refuse(error: ApiError): void {
    const fields = (error.details["fields"] ?? {}) as Record<string, string>;
    this.clear();
    for (const [name, sentence] of Object.entries(fields)) this.blame(name, sentence);
    if (!Object.keys(fields).length) this.blame("kind", error.sentence);
  }

  private blame(name: string, sentence: string): void {
    const place = find<HTMLElement>(`#error-${name}`, this.form) ?? need("#error-kind", this.form);
    place.textContent = sentence;
    find<HTMLElement>(`#field-${name}`, this.form)?.setAttribute("aria-invalid", "true");
    for (let box = place.closest("details"); box; box = box.parentElement?.closest("details") ?? null) box.open = true;
  }

  private clear(): void {
    need("[data-rule-hint]", this.form).textContent = "";
    for (const error of all(".field-error", this.form)) error.textContent = "";
    for (const field of all("[aria-invalid]", this.form)) field.removeAttribute("aria-invalid");
  }

  private follow(): void {
    this.allow(find<HTMLElement>("[data-can-freeze]", this.preview)?.dataset["canFreeze"] === "true");
  }

  private allow(may: boolean): void {
    for (const button of all<HTMLButtonElement>("[data-freeze]")) button.disabled = !may;
  }

  /** A click on the part of a real name that is the label: the rule follows. */
  private async takePart(part: HTMLElement): Promise<void> {
    const level = part.dataset["level"];
    if (level) return this.set("folder", "level", level);
    const path = part.closest<HTMLElement>("[data-sample]")?.dataset["path"] ?? "";
    const name = path.slice(path.lastIndexOf("/") + 1);
    const selected = getSelection()?.toString() ?? "";
    const text = selected && name.includes(selected) ? selected : (part.textContent ?? "");
    const before = selected === text ? name.indexOf(text) : offsetOf(part);
    const pattern = (await this.suggested(path, text)) ?? patternFor(name, before, text);
    this.set("pattern", "pattern", pattern);
    announce(`Labels are now read like “${text}”.`);
  }

  /** A pattern of the server's that gives this label on this picture and fits the others too. */
  private async suggested(path: string, label: string): Promise<string | null> {
    interface Suggestions {
      items: { rule: { kind: string; pattern?: string } }[];
    }
    const address = this.form.dataset["suggestPath"] ?? "";
    const found = await api<Suggestions>(address, { method: "POST", body: { labels: { [path]: label } } }).catch(() => null);
    const rule = found?.items[0]?.rule;
    return rule?.kind === "pattern" ? (rule.pattern ?? null) : null;
  }

  private set(kind: string, field: string, value: string): void {
    need<HTMLInputElement>(`input[name=kind][value=${kind}]`, this.form).checked = true;
    need<HTMLInputElement | HTMLSelectElement>(`[name=${field}]`, this.form).value = value;
    this.ask(0);
  }
}

/** Where a part begins in the file's name: the length of what stands between it and the last folder. */
function offsetOf(part: HTMLElement): number {
  let offset = 0;
  for (let before = part.previousElementSibling; before; before = before.previousElementSibling) {
    if (before.textContent === "/" || before.hasAttribute("data-level")) break;
    offset += before.textContent?.length ?? 0;
  }
  return offset;
}

const form = find<HTMLFormElement>("[data-rule]");
if (form) {
  const page = new LabelsPage(form);
  ["The folder", "The file name", "A table", "An expression", "A list", "By hand"].forEach((words, index) =>
    bindKey(String(index + 1), words, () => page.choose(index)),
  );
  bindKey("[Shift]+<", "Previous file name", () => page.turn(-1));
  bindKey("[Shift]+>", "Next file name", () => page.turn(1));
  bindKey("u", "Show what has no label", () => {
    const list = find<HTMLDetailsElement>("[data-unlabelled]");
    if (!list) return announce("Every picture has a label.");
    list.open = true;
    list.scrollIntoView({ block: "center" });
  });
}
