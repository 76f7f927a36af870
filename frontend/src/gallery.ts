import { all } from "./lib/dom";
import { HeatMaps } from "./lib/heat_maps";
import { setUpGalleries } from "./lib/viewer";

setUpGalleries(new HeatMaps());
for (const form of all<HTMLFormElement>("form[data-filters]")) {
  // Empty fields stay out of the address, so that it can be sent to somebody.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}
