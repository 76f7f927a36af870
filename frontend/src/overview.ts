import { showAdvice } from "./lib/advice";
import { HeatMaps } from "./lib/heat_maps";
import { setUpGalleries } from "./lib/viewer";

setUpGalleries(new HeatMaps());
void showAdvice();
