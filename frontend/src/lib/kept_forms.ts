/** What was typed survives a sign-in: it is kept in this tab when the server no longer knows us, and put back once it does. */
import { all, announce } from "./dom";

const STORE = "tellapart-kept-forms";
type Fields = [name: string, value: string][];

interface Kept {
  path: string;
  forms: { key: string; fields: Fields }[];
  /** Set on the way through the sign-in page: without it the form was simply sent. */
  restores: boolean;
}

const forms = (): HTMLFormElement[] => all<HTMLFormElement>("main form").filter((form) => form.method === "post");

/** The same form on the page as it is loaded again: dialogs and live parts may have moved it. */
const keyOf = (form: HTMLFormElement): string => form.dataset["keep"] ?? form.getAttribute("action") ?? "";

function fieldsOf(form: HTMLFormElement): Fields {
  const secret = new Set(all<HTMLInputElement>("[type=password]", form).map((input) => input.name));
  return [...new FormData(form)].flatMap(([name, value]): Fields =>
    typeof value === "string" && name !== "csrf_token" && !secret.has(name) ? [[name, value]] : [],
  );
}

/** Nobody is signed in there, and its own form is no loss. */
export const isSignInPage = (): boolean => document.body.classList.contains("page-sign-in");

export function keepForms(): void {
  if (isSignInPage()) return;
  const kept: Kept = {
    path: location.pathname,
    forms: forms().map((form) => ({ key: keyOf(form), fields: fieldsOf(form) })),
    restores: false,
  };
  if (kept.forms.some(({ fields }) => fields.length)) sessionStorage.setItem(STORE, JSON.stringify(kept));
}

export function restoreNextTime(): void {
  const kept = read();
  if (kept) sessionStorage.setItem(STORE, JSON.stringify({ ...kept, restores: true }));
}

function read(): Kept | null {
  return JSON.parse(sessionStorage.getItem(STORE) ?? "null") as Kept | null;
}

/** `tellapart:restore` comes first: a page whose fields depend on each other puts them back by itself and prevents the rest. */
function restore(form: HTMLFormElement, fields: Fields): void {
  const isOurs = form.dispatchEvent(new CustomEvent("tellapart:restore", { detail: fields, cancelable: true }));
  if (isOurs) fill(form, fields);
}

/** Put values back by name, unfold what holds them, and tell the page as if they had been typed. */
export function fill(form: HTMLFormElement, fields: Fields): void {
  for (const control of all<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>("input, select, textarea", form)) {
    const values = fields.filter(([name]) => name === control.name).map(([, value]) => value);
    if (!control.name || ["hidden", "file", "password"].includes(control.type)) continue;
    if (control instanceof HTMLInputElement && ["radio", "checkbox"].includes(control.type)) control.checked = values.includes(control.value);
    else if (values[0] !== undefined && values[0] !== control.value) {
      control.value = values[0];
      control.closest("details")?.setAttribute("open", "");
    }
  }
  form.dispatchEvent(new Event("input", { bubbles: true }));
}

function restoreAfterSignIn(): void {
  if (isSignInPage()) return restoreNextTime();
  const kept = read();
  sessionStorage.removeItem(STORE);
  if (!kept?.restores || kept.path !== location.pathname) return;
  for (const form of forms()) {
    const found = kept.forms.find(({ key }) => key === keyOf(form));
    if (found?.fields.length) restore(form, found.fields);
  }
  announce("You are signed in again. What you typed is back; nothing was sent.");
}

export function setUpKeptForms(): void {
  // A form that is sent while nobody is signed in leads to the sign-in page.
  document.addEventListener("submit", (event) => {
    if ((event.target as HTMLFormElement).method === "post") keepForms();
  });
  // After all modules of the page have run.
  document.addEventListener("DOMContentLoaded", restoreAfterSignIn);
}
