import { find } from "./lib/dom";
import { bindKey } from "./lib/keys";
import { followMeasuring } from "./lib/measuring";
import { setUpGalleries } from "./lib/viewer";

setUpGalleries();
void followMeasuring();
bindKey("x", "Swap the two runs", () => find<HTMLAnchorElement>("[data-swap]")?.click());
bindKey("c", "Curves as a table, and back", () => {
  const table = find<HTMLDetailsElement>("[data-curve-table]");
  if (table) table.open = !table.open;
});

const curves = find("[data-compare-curves]");
if (curves) void import("./lib/overlaid_curves").then(({ OverlaidCurves }) => new OverlaidCurves(curves));
