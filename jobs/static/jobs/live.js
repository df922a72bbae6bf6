/* Says so when the page can no longer be refreshed, and takes it back when it can. */
"use strict";
(function () {
  function stale(is) {
    document.documentElement.toggleAttribute("data-stale", is);
  }
  document.addEventListener("htmx:sendError", function () { stale(true); });
  document.addEventListener("htmx:timeout", function () { stale(true); });
  document.addEventListener("htmx:responseError", function () { stale(true); });
  document.addEventListener("htmx:afterOnLoad", function () { stale(false); });
  document.addEventListener("submit", function (event) {
    /* A second click on a button that is already on its way would only be refused. */
    if (event.target.method !== "post" || event.defaultPrevented) { return; }
    window.setTimeout(function () {
      event.target.querySelectorAll("button[type=submit]").forEach(function (button) { button.disabled = true; });
    }, 0);
  });
  document.addEventListener("change", function (event) {
    if (event.target.matches("[data-asks]")) { event.target.form.requestSubmit(); }
  });
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) { window.location.reload(); }
  });
})();
