import { announce, find } from "./dom";
import { request } from "./http";

const ENLARGED = 2;

/** The picture of the matrix as PNG: the SVG that the server draws, on a canvas twice as large. */
export function setUpPng(): void {
  const svg = find<HTMLAnchorElement>("[data-matrix-svg]");
  find("[data-matrix-png]")?.addEventListener("click", () => svg && void save(svg.href).catch(() => announce("The picture could not be made. Save it as SVG instead.")));
}

async function save(path: string): Promise<void> {
  const response = await request(path);
  if (!response.ok) throw new Error(String(response.status));
  const drawn = URL.createObjectURL(await response.blob());
  const image = Object.assign(new Image(), { src: drawn });
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = ENLARGED * image.naturalWidth;
  canvas.height = ENLARGED * image.naturalHeight;
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(drawn);
  const png = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!png) throw new Error("too large");
  const address = URL.createObjectURL(png);
  Object.assign(document.createElement("a"), { href: address, download: "confusion matrix.png" }).click();
  URL.revokeObjectURL(address);
}
