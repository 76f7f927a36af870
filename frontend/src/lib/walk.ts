import { type Drop, type Picked, type PickedFile, inParts, isIgnored, nameFor, nothing } from "./picked";

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
      this.folder.directory.getFile(this.name, {}, (entry) => resolve(fileOf(entry as FileSystemFileEntry)), reject);
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
  const folders = found.flatMap(({ entry }) => (entry && isDirectory(entry) ? [entry] : []));
  // Of links, and in browsers without entries, there is only the file.
  const files = found.flatMap(({ entry, file }) => (file && !entry?.isDirectory ? [file] : []));
  return { name: nameFor(folders.map(({ name }) => name), files), batches: walk(folders, files) };
}

async function* walk(folders: FileSystemDirectoryEntry[], files: File[]): AsyncGenerator<Picked> {
  yield* inParts(files);
  yield* readFolders("", folders);
}

async function* readFolders(path: string, folders: FileSystemDirectoryEntry[]): AsyncGenerator<Picked> {
  for (const directory of folders) {
    const inner = { path: `${path}${directory.name}/`, directory };
    if (isIgnored(inner.path)) {
      yield { ...nothing(), ignored: 1 };
      continue;
    }
    const reader = directory.createReader();
    // Browsers give a hundred at a time, and none at the end.
    for (let some = await readSome(reader); some.length; some = await readSome(reader)) yield* read(inner, some);
  }
}

/** Files first and then the folders among `entries`, so that few folders are open at a time. */
async function* read(folder: Folder, entries: FileSystemEntry[]): AsyncGenerator<Picked> {
  const picked = nothing();
  for (const entry of entries.filter((one) => !isDirectory(one))) {
    const path = folder.path + entry.name;
    if (isIgnored(path)) picked.ignored += 1;
    // Chromium finds no file by such a name.
    else if (entry.name.includes("\\")) picked.files.push({ path, size: null, open: () => fileOf(entry as FileSystemFileEntry) });
    else picked.files.push(new WalkedFile(folder, entry.name));
  }
  yield picked;
  yield* readFolders(folder.path, entries.filter(isDirectory));
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
