"use strict";

// Options come from data attributes: the page has no inline script, so its policy forbids any.
const here = document.currentScript.src;
const root = document.getElementById("swagger-ui");

window.ui = SwaggerUIBundle({
  domNode: root,
  url: new URL(root.dataset.openapi, document.baseURI).href,
  oauth2RedirectUrl: new URL("oauth2-redirect.html", here).href,
  deepLinking: true,
  displayRequestDuration: true,
  showExtensions: true,
  tryItOutEnabled: true,
  // The validator badge would send the document to a service outside.
  validatorUrl: null,
});
