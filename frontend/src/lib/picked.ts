/** A file to be uploaded, with the path it has on the person's disk. It is opened only when its turn has come. */
export interface PickedFile {
  readonly path: string;
  /** In bytes; null where that is known only once the file is open. */
  readonly size: number | null;
  /** @throws what the browser says where the file can't be read (any more). */
  open(): Promise<File>;
}

export interface Picked {
  files: PickedFile[];
  archives: File[];
  /** Files that no person put there, such as `.DS_Store`; counted, never sent. */
  ignored: number;
}

/** What a person dropped or chose: a name for a dataset of it, and its files bit by bit, as they are found. */
export interface Drop {
  name: string;
  batches: AsyncIterator<Picked>;
}

const ARCHIVE = /\.(zip|tar|tgz|tar\.gz)$/i;
// The server knows more of them; these are the most frequent, and large.
const IGNORED = /(^|\/)(\.|__MACOSX\/|@eaDir\/|#recycle\/|\$RECYCLE\.BIN\/|Thumbs\.db$|desktop\.ini$)/i;
const A_BATCH = 500;

export const isIgnored = (path: string): boolean => IGNORED.test(path);
export const isArchive = (path: string): boolean => ARCHIVE.test(path) && !path.includes("/");
export const nothing = (): Picked => ({ files: [], archives: [], ignored: 0 });

/** A file that the browser has listed already. */
class ListedFile implements PickedFile {
  constructor(
    private readonly file: File,
    readonly path: string,
  ) {}

  get size(): number {
    return this.file.size;
  }

  open(): Promise<File> {
    return Promise.resolve(this.file);
  }
}

/** Put a file where it belongs; `path` is from the folder that was dropped or chosen. */
export function put(picked: Picked, path: string, file: File): void {
  if (isIgnored(path)) picked.ignored += 1;
  else if (isArchive(path)) picked.archives.push(file);
  else picked.files.push(new ListedFile(file, path));
}

/** Hand over what is chosen in an input, also what was chosen before this script had arrived. */
export function onChosen(input: HTMLInputElement, take: (files: File[]) => void): void {
  const hand = (): void => {
    // Emptying the input empties its list; a second choice of the same file must be noticed as well.
    const files = [...(input.files ?? [])];
    input.value = "";
    if (files.length) take(files);
  };
  input.addEventListener("change", hand);
  hand();
}

/** Files of an input; its list is read in parts, so that the page answers while there are a hundred thousand of them. */
export function chosen(files: File[]): Drop {
  const tops = files.map((file) => (file.webkitRelativePath || file.name).split("/")[0] ?? "");
  const isFolder = files.every((file) => file.webkitRelativePath.includes("/"));
  return { name: nameFor(isFolder ? [...new Set(tops)] : [], files), batches: inParts(files) };
}

/** Some at a time, with a moment for the page in between. */
export async function* inParts(files: File[]): AsyncGenerator<Picked> {
  for (let start = 0; start < files.length; start += A_BATCH) {
    const picked = nothing();
    for (const file of files.slice(start, start + A_BATCH)) put(picked, file.webkitRelativePath || file.name, file);
    yield picked;
    await new Promise((resolve) => window.setTimeout(resolve));
  }
}

/** A name for a dataset, from the one folder or archive that was dropped or chosen. */
export function nameFor(folders: string[], files: { name: string }[]): string {
  const [only] = folders;
  if (only && folders.length === 1) return only;
  const archive = files.find((file) => isArchive(file.name));
  if (archive && !folders.length) return archive.name.replace(ARCHIVE, "");
  return `Pictures of ${new Date().toLocaleDateString("en-GB", { day: "numeric", month: "long" })}`;
}
