import { api } from "./http";

/** A file that is open, and the path under which it is sent. */
export interface OpenFile {
  path: string;
  file: File;
}

/**
 * Those of `files` that the dataset hasn't got: the server says which names and sizes it knows, and with which hashes.
 * Of these files alone the bytes are read; one that was changed since has another hash and is sent.
 */
export async function missingOf(files: OpenFile[], datasetId: string, signal: AbortSignal): Promise<OpenFile[]> {
  const body = { paths: files.map(({ path }) => path), bytes: files.map(({ file }) => file.size) };
  const { sha256 } = await api<{ sha256: string[][] }>(`/api/v1/datasets/${datasetId}/images/present`, { method: "POST", body, signal });
  const missing: OpenFile[] = [];
  for (const [place, one] of files.entries()) {
    const known = sha256[place] ?? [];
    if (!known.length || !known.includes(await hashOf(one.file))) missing.push(one);
  }
  return missing;
}

async function hashOf(file: File): Promise<string> {
  const content = new Uint8Array(await file.arrayBuffer());
  return [...(await digest(content))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function digest(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  // Browsers have it only for https and for this machine itself.
  if (crypto.subtle) return new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const { sha256 } = await import("@noble/hashes/sha2.js");
  return sha256(content);
}
