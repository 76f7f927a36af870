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
