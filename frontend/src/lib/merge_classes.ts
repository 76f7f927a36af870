import { all, announce } from "./dom";
import { ApiError, api } from "./http";
import { offerUndo } from "./undo";

/** Two classes that are the same thing get one name; no file is touched, and it is undone as one. */
export function setUpMerging(): void {
  for (const button of all<HTMLButtonElement>("[data-merge]")) button.addEventListener("click", () => void merge(button));
}

async function merge(button: HTMLButtonElement): Promise<void> {
  const { dataset = "", run, to } = button.dataset;
  const path = `/api/v1/datasets/${dataset}/labels`;
  const classes = JSON.parse(button.dataset["merge"] ?? "[]") as string[];
  try {
    const done = await api<{ message: string; batch_id: string | null }>(`${path}/classes`, { method: "POST", body: { classes, to, reason: "fix: most confused", run_id: run } });
    button.closest("details")?.removeAttribute("open");
    if (!done.batch_id) return announce(done.message);
    offerUndo(`${done.message} It counts from the next training on.`, async () => {
      await api(`${path}/undo`, { method: "POST", body: { batch_id: done.batch_id } });
    });
  } catch (reason) {
    announce(reason instanceof ApiError ? reason.sentence : String(reason));
  }
}
