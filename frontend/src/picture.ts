import { need } from "./lib/dom";
import { Covers } from "./lib/covers";
import { HeatMaps } from "./lib/heat_maps";

const frame = need("[data-heat-frame]");
new HeatMaps().showLarge({ frame, address: frame.dataset["address"] ?? "" });

const opacity = need<HTMLInputElement>("[data-heat-opacity]");
opacity.addEventListener("input", () => frame.style.setProperty("--heat-opacity", String(Number(opacity.value) / 100)));

new Covers(need<SVGSVGElement>("[data-cover]"));
