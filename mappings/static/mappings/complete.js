/* Completion in inputs for expressions: columns with their types, allowed functions with their signatures. */
"use strict";
(function () {
  const known = new Map();
  let box = null;
  let input = null;
  let chosen = -1;

  function offers() {
    const opened = document.getElementById("opened");
    const url = opened && opened.dataset.completion;
    if (!url) { return Promise.resolve(null); }
    if (!known.has(url)) {
      known.set(url, fetch(url, { headers: { Accept: "application/json" } }).then(function (response) {
        if (!response.ok) { known.delete(url); return null; }
        return response.json();
      }, function () { known.delete(url); return null; }));
    }
    return known.get(url);
  }

  /* The word before the caret, and where it begins; none inside a text in quotes. */
  function word() {
    const before = input.value.slice(0, input.selectionStart);
    if ((before.split("'").length - 1) % 2) { return null; }
    const found = /[\p{L}\p{N}_$."]*$/u.exec(before);
    return { text: found[0], start: before.length - found[0].length };
  }

  function matching(all, text) {
    const low = text.toLowerCase().replaceAll('"', "");
    function fits(offer) { return offer.show.toLowerCase().startsWith(low); }
    function holds(offer) { return low.length > 1 && offer.show.toLowerCase().includes(low) && !fits(offer); }
    const columns = all.columns.filter(fits).concat(all.columns.filter(holds));
    const functions = low ? all.functions.filter(fits) : [];
    return columns.slice(0, low ? 8 : 60).concat(functions.slice(0, 8));
  }

  function close() {
    if (box) { box.remove(); }
    if (input) { input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); }
    box = null;
    chosen = -1;
  }

  function open(list, start) {
    close();
    if (!list.length || (list.length === 1 && list[0].insert === input.value)) { return; }
    box = document.createElement("ul");
    box.className = "completion";
    box.id = "completion";
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-label", "Columns and functions");
    list.forEach(function (offer, number) {
      const item = document.createElement("li");
      item.id = "completion-" + number;
      item.setAttribute("role", "option");
      const name = document.createElement("code");
      name.textContent = offer.show;
      const note = document.createElement("span");
      note.textContent = offer.note;
      item.append(name, note);
      item.addEventListener("mousedown", function (event) { event.preventDefault(); take(offer, start); });
      box.append(item);
    });
    box.offers = list;
    box.start = start;
    input.setAttribute("aria-controls", "completion");
    input.setAttribute("aria-expanded", "true");
    input.after(box);
  }

  function choose(number) {
    const items = box.children;
    chosen = (number + items.length) % items.length;
    for (const item of items) { item.setAttribute("aria-selected", "false"); }
    items[chosen].setAttribute("aria-selected", "true");
    items[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", items[chosen].id);
  }

  function take(offer, start) {
    const end = input.selectionStart;
    input.setRangeText(offer.insert, start, end, "end");
    close();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function suggest() {
    const here = input;
    offers().then(function (all) {
      if (!all || input !== here || document.activeElement !== here || here.readOnly) { return; }
      const now = word();
      if (now) { open(matching(all, now.text), now.start); } else { close(); }
    });
  }

  document.addEventListener("focusin", function (event) {
    if (!event.target.matches("[data-complete]")) { return; }
    input = event.target;
    input.setAttribute("role", "combobox");
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-expanded", "false");
    offers();
  });
  document.addEventListener("focusout", function (event) { if (event.target === input) { close(); } });
  document.addEventListener("input", function (event) {
    if (event.target === input && event.isTrusted) { suggest(); }
  });
  document.addEventListener("keydown", function (event) {
    if (event.target !== input) { return; }
    if (event.key === "ArrowDown" && !box) { event.preventDefault(); suggest(); return; }
    if (!box) { return; }
    if (event.key === "ArrowDown") { event.preventDefault(); choose(chosen + 1); }
    if (event.key === "ArrowUp") { event.preventDefault(); choose(chosen - 1); }
    if (event.key === "Escape") { event.preventDefault(); close(); }
    if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) {
      event.preventDefault();
      take(box.offers[chosen], box.start);
    }
  });
})();
