import { type Drop, type Picked, type PickedFile, isIgnored, nameFor, nothing, put } from "./picked";

/** A folder that was dropped, or is in one; its path ends with a slash. */
interface Folder {
  path: string;
  directory: FileSystemDirectoryEntry;
}

/** A file of a dropped folder: only its name is kept, as each file that is open costs the tab a kilobyte or more. */
class WalkedFile implements PickedFile {
  readonly size = null;

  constructor(
    private readonly folder: Folder,
    private readonly name: string,
  ) {}

  get path(): string {
    return this.folder.path + this.name;
  }

  open(): Promise<File> {
    return new Promise((resolve, reject) => {
      const found = (entry: FileSystemEntry): void => (entry as FileSystemFileEntry).file(resolve, reject);
      this.folder.directory.getFile(this.name, {}, found, reject);
    });
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
  const singles = nothing();
  for (const file of files) put(singles, file.name, file);
  for (const entry of entries.filter((one) => !isDirectory(one))) {
    // What can't be opened is reported by the uploader.
    const file = await fileOf(entry as FileSystemFileEntry).catch(() => null);
    if (file) put(singles, file.name, file);
    else singles.files.push({ path: entry.name, size: 0, open: () => fileOf(entry as FileSystemFileEntry) });
  }
  yield singles;
  yield* readFolders("", entries);
}

async function* readFolders(path: string, entries: FileSystemEntry[]): AsyncGenerator<Picked> {
  for (const directory of entries.filter(isDirectory)) {
    const inner = { path: `${path}${directory.name}/`, directory };
    if (isIgnored(inner.path)) continue;
    const reader = directory.createReader();
    // Browsers give a hundred at a time, and none at the end.
    for (let some = await readSome(reader); some.length; some = await readSome(reader)) yield* read(inner, some);
  }
}

/** Files first and then the folders among `entries`, so that few folders are open at a time. */
async function* read(folder: Folder, entries: FileSystemEntry[]): AsyncGenerator<Picked> {
  const picked = nothing();
  for (const { name } of entries.filter((entry) => !isDirectory(entry))) {
    if (isIgnored(folder.path + name)) picked.ignored += 1;
    else picked.files.push(new WalkedFile(folder, name));
  }
  yield picked;
  yield* readFolders(folder.path, entries);
}

const readSome = (reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> =>
  new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));

/** All files of a drop at once, where there can't be many. */
export async function droppedFiles(data: DataTransfer): Promise<File[]> {
  const files: File[] = [];
  const { batches } = dropped(data);
  for (let batch = await batches.next(); !batch.done; batch = await batches.next()) {
    for (const picked of batch.value.files) files.push(await picked.open());
  }
  return files;
}
