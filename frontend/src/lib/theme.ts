import { all } from "./dom";
import { address } from "./http";

/** The choice lives in a cookie, so that the server draws the next page in it without a flash. */
export function setUpTheme(): void {
  const path = address("/") || "/";
  for (const input of all<HTMLInputElement>("[data-theme-switch] input[name=theme]")) {
    input.addEventListener("change", () => {
      const root = document.documentElement;
      if (input.value === "system") {
        delete root.dataset["theme"];
        document.cookie = `tellapart-theme=; path=${path}; max-age=0; samesite=lax`;
      } else {
        root.dataset["theme"] = input.value;
        document.cookie = `tellapart-theme=${input.value}; path=${path}; max-age=31536000; samesite=lax`;
      }
      document.dispatchEvent(new CustomEvent("tellapart:theme"));
    });
  }
}
