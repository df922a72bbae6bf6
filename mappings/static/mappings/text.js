/* The mapping file in an editor with lines and colours; the textarea stays what is sent. */
"use strict";
document.addEventListener("DOMContentLoaded", function () {
  const area = document.querySelector("textarea[data-editor]");
  if (!area || typeof ace === "undefined") { return; }
  ace.config.set("useStrictCSP", true);
  ace.config.set("loadWorkerFromBlob", false);
  const place = document.createElement("div");
  place.className = "yaml-editor";
  area.before(place);
  area.hidden = true;
  const editor = ace.edit(place, {
    useWorker: false,
    mode: "ace/mode/yaml",
    tabSize: 2,
    readOnly: area.readOnly,
    showPrintMargin: false,
    minLines: 20,
    maxLines: 60,
  });
  editor.session.setValue(area.value.replace(/^\n/, ""));
  editor.textInput.getElement().setAttribute("aria-label", "Mapping file");
  area.form.addEventListener("submit", function () { area.value = editor.getValue(); });
  const before = editor.getValue();
  let leaving = false;
  area.form.addEventListener("submit", function () { leaving = true; });
  window.addEventListener("beforeunload", function (event) {
    if (!leaving && editor.getValue() !== before) { event.preventDefault(); }
  });
});
