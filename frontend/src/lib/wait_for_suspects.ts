import { api } from "./http";

const AGAIN_MS = 2000;

/** Suspects of a large set take some seconds: the page is shown again when they are there. */
export async function waitForSuspects(run: string): Promise<void> {
  const answer = await api<{ status: string }>(`/api/v1/runs/${run}/suspects?limit=1`).catch(() => null);
  if (answer?.status === "ready") location.reload();
  else window.setTimeout(() => void waitForSuspects(run), AGAIN_MS);
}
