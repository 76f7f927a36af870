import { type Drop, type Picked, type PickedFile, isArchive, isIgnored, nameFor, nothing, put } from "./picked";

/** Fewer than a bundle: files that are to be sent are opened in between. */
const A_BATCH = 50;

/** A file of a dropped folder: known by its entry, and opened anew each time, so that nothing of it stays in memory. */
class WalkedFile implements PickedFile {
  constructor(
    private readonly entry: FileSystemFileEntry,
    readonly path: string,
    readonly size: number,
  ) {}

  open(): Promise<File> {
    return fileOf(this.entry);
  }
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> => new Promise((resolve, reject) => entry.file(resolve, reject));
const isDirectory = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory;

/**
 * What was dropped. Folders are read to the bottom, but only while somebody takes what was found so far.
 * To be called within the event: its items are gone after the first wait.
 */
export function dropped(data: DataTransfer): Drop {
  const items = [...data.items].filter((item) => item.kind === "file");
  const found = items.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const entries = found.flatMap(({ entry }) => (entry ? [entry] : []));
  // Of links, and in browsers without entries, there is only the file.
  const files = found.flatMap(({ entry, file }) => (!entry && file ? [file] : []));
  const names = [...entries.filter((entry) => !entry.isDirectory), ...files];
  return { name: nameFor(entries.filter(isDirectory).map(({ name }) => name), names), batches: walk(entries, files) };
}

async function* walk(entries: FileSystemEntry[], files: File[]): AsyncGenerator<Picked> {
  const links = nothing();
  for (const file of files) put(links, file.name, file);
  yield links;
  yield* read("", entries);
}

/** Files first and then the folders among `entries`, so that few folders are open at a time. */
async function* read(folder: string, entries: FileSystemEntry[]): AsyncGenerator<Picked> {
  for (let start = 0; start < entries.length; start += A_BATCH) {
    const picked = nothing();
    // Side by side: the browser asks another process for each.
    await Promise.all(entries.slice(start, start + A_BATCH).map((entry) => sort(picked, folder + entry.name, entry)));
    yield picked;
  }
  for (const inner of entries.filter(isDirectory)) {
    const path = `${folder}${inner.name}/`;
    if (isIgnored(path)) continue;
    const reader = inner.createReader();
    // Browsers give a hundred at a time, and none at the end.
    for (let some = await readSome(reader); some.length; some = await readSome(reader)) yield* read(path, some);
  }
}

const readSome = (reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> =>
  new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));

async function sort(picked: Picked, path: string, entry: FileSystemEntry): Promise<void> {
  if (isIgnored(isDirectory(entry) ? `${path}/` : path)) picked.ignored += 1;
  else if (!isDirectory(entry)) await add(picked, entry as FileSystemFileEntry, path);
}

async function add(picked: Picked, entry: FileSystemFileEntry, path: string): Promise<void> {
  // What can't be opened now is reported when its turn comes.
  const file = await fileOf(entry).catch(() => null);
  if (file && isArchive(path)) picked.archives.push(file);
  else picked.files.push(new WalkedFile(entry, path, file?.size ?? 0));
}

/** All files of a drop at once, where there can't be many. */
export async function droppedFiles(data: DataTransfer): Promise<File[]> {
  const files: File[] = [];
  const { batches } = dropped(data);
  for (let batch = await batches.next(); !batch.done; batch = await batches.next()) {
    for (const picked of batch.value.files) files.push(await picked.open());
  }
  return files;
}
