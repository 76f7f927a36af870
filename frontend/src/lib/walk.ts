import { type Drop, type Picked, type PickedFile, isArchive, isIgnored, nameFor, nothing, put } from "./picked";

const A_BATCH = 200;

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
  let picked = nothing();
  for (const file of files) put(picked, file.name, file);
  const folders = [{ path: "", entries }];
  for (let folder = folders.pop(); folder; folder = folders.pop()) {
    for (const entry of folder.entries) {
      const path = folder.path + entry.name;
      if (isIgnored(isDirectory(entry) ? `${path}/` : path)) picked.ignored += 1;
      else if (isDirectory(entry)) for await (const some of children(entry)) folders.push({ path: `${path}/`, entries: some });
      else await add(picked, entry as FileSystemFileEntry, path);
      if (picked.files.length >= A_BATCH) {
        yield picked;
        picked = nothing();
      }
    }
  }
  yield picked;
}

/** The entries of a folder; browsers give a hundred at a time, and none at the end. */
async function* children(folder: FileSystemDirectoryEntry): AsyncGenerator<FileSystemEntry[]> {
  const reader = folder.createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) return;
    yield some;
  }
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
