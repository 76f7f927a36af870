import { getDroppedFiles } from "@uppy/utils";

/** A file to be uploaded, with the path it has on the person's disk. */
export interface PickedFile {
  file: File;
  path: string;
}

export interface Picked {
  files: PickedFile[];
  archives: File[];
  /** Files that no person put there, such as `.DS_Store`; counted, never sent. */
  ignored: number;
}

const ARCHIVE = /\.(zip|tar|tgz|tar\.gz)$/i;
// The server knows more of them; these are the most frequent, and large.
const IGNORED = /(^|\/)(\.|__MACOSX\/|@eaDir\/|#recycle\/|\$RECYCLE\.BIN\/|Thumbs\.db$|desktop\.ini$)/i;

function pathOf(file: File): string {
  const dropped = (file as File & { relativePath?: string | null }).relativePath;
  return (dropped || file.webkitRelativePath || file.name).replace(/^\/+/, "");
}

export function sorted(files: Iterable<File>): Picked {
  const picked: Picked = { files: [], archives: [], ignored: 0 };
  for (const file of files) {
    const path = pathOf(file);
    if (IGNORED.test(path)) picked.ignored += 1;
    else if (ARCHIVE.test(path) && !path.includes("/")) picked.archives.push(file);
    else picked.files.push({ file, path });
  }
  return picked;
}

/** What was dropped, folders read to the bottom. `failed` counts folders or files that the browser refused to read. */
export async function dropped(data: DataTransfer): Promise<Picked & { failed: number }> {
  let failed = 0;
  const files = await getDroppedFiles(data, { logDropError: () => (failed += 1) });
  return { ...sorted(files), failed };
}

/** A name for a dataset, from the folder or archive that was chosen. */
export function nameOf(picked: Picked): string {
  const archive = picked.archives[0];
  if (archive) return archive.name.replace(ARCHIVE, "");
  const folders = new Set(picked.files.map(({ path }) => (path.includes("/") ? (path.split("/")[0] ?? "") : "")));
  const [only] = folders;
  return folders.size === 1 && only ? only : `Pictures of ${new Date().toLocaleDateString("en-GB", { day: "numeric", month: "long" })}`;
}
