"use strict";

const page = document.getElementById("documentation");

// A session is believed only with the token of its form: what reads needs none.
const withToken = (request) => {
  if (!["GET", undefined].includes(request.method) && new URL(request.url, location).origin === location.origin) {
    request.headers["X-CSRFToken"] = page.dataset.csrfToken;
  }
  return request;
};

SwaggerUIBundle({
  url: page.dataset.schema,
  domNode: page,
  presets: [SwaggerUIBundle.presets.apis],
  requestInterceptor: withToken,
  deepLinking: true,
});
