import { need } from "./lib/dom";
import { csrfToken } from "./lib/http";

interface SwaggerRequest {
  headers: Record<string, string>;
}

interface SwaggerOptions {
  url: string;
  domNode: HTMLElement;
  deepLinking: boolean;
  validatorUrl: null;
  requestInterceptor: (request: SwaggerRequest) => SwaggerRequest;
}

// The bundle comes as a plain script before this module; it is too large to be part of ours.
declare const SwaggerUIBundle: (options: SwaggerOptions) => void;

/** Swagger has its own two themes, told apart by a class. */
function followTheme(): void {
  const { theme } = document.documentElement.dataset;
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("dark-mode", isDark);
}

followTheme();
new MutationObserver(followTheme).observe(document.documentElement, { attributeFilter: ["data-theme"] });
const place = need("[data-api-docs]");
SwaggerUIBundle({
  url: place.dataset["apiDocs"] ?? "",
  domNode: place,
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor(request) {
    request.headers["X-CSRF-Token"] = csrfToken();
    return request;
  },
});
