import { element, find, need } from "./lib/dom";
import { setUpGrid } from "./lib/grid";
import { request } from "./lib/http";
import { LargeMatrix } from "./lib/large_matrix";

interface Image {
  thumbnail_url: string;
  actual: string;
  predicted: string;
  probability_predicted: number;
}

/** Under the table: the chosen cell in words and up to six of its pictures. */
function setUpPreview(card: HTMLElement): (cell: HTMLElement) => void {
  const words = need("[data-matrix-words]", card);
  const faces = need("[data-matrix-faces]", card);
  let asked = 0;
  let shown: HTMLElement | null = null;
  return (cell) => {
    if (cell === shown) return;
    shown = cell;
    words.textContent = cell.getAttribute("aria-label") ?? "";
    window.clearTimeout(asked);
    faces.replaceChildren();
    const link = cell.querySelector("a");
    if (!link) return;
    asked = window.setTimeout(() => void fetchFaces(link, faces).then((found) => shown === cell && faces.replaceChildren(...found)), 150);
  };
}

async function fetchFaces(link: HTMLAnchorElement, faces: HTMLElement): Promise<HTMLElement[]> {
  const query = new URLSearchParams(new URL(link.href).search);
  query.set("limit", "6");
  query.set("checkpoint", faces.dataset["checkpoint"] ?? "");
  query.set("split", faces.dataset["split"] ?? "");
  const response = await request(`${faces.dataset["images"]}?${query}`).catch(() => null);
  if (!response?.ok) return [];
  const { items } = (await response.json()) as { items: Image[] };
  return items.map((image) =>
    element("img", {
      class: "thumb",
      src: image.thumbnail_url,
      width: "192",
      height: "192",
      alt: `labelled ${image.actual}, model says ${image.predicted} ${Math.round(100 * image.probability_predicted)} %`,
    }),
  );
}

const card = find("[data-matrix-card]");
if (card) setUpGrid(need<HTMLTableElement>("[data-matrix]", card), setUpPreview(card));
const large = find("[data-matrix-large]");
if (large) void new LargeMatrix(large).start();
