/* The studio's list, ticks, order, and ways to fill a column. Everything works without it, one page load at a time. */
"use strict";
(function () {
  function show(element, is) { element.hidden = !is; }

  /* Lists are searched where they stand: a word of each row's names must begin, or hold, every word typed. */
  function find(input) {
    const list = document.querySelector(input.dataset.finds);
    if (!list) { return; }
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let any = false;
    for (const row of list.children) {
      const is = words.every(function (word) { return row.dataset.find.toLowerCase().includes(word); });
      show(row, is);
      any = any || is;
    }
    const none = document.getElementById(list.id + "-none");
    if (none) { show(none, !any); }
  }

  document.addEventListener("input", function (event) {
    if (event.target.matches("[data-finds]")) { find(event.target); }
    if (event.target.matches("[data-answers]")) {
      event.target.form.querySelector("[name=change][value=" + event.target.dataset.answers + "]").checked = true;
    }
    if (event.target.matches("[data-tick-with]")) {
      event.target.closest("tr").querySelector("input[type=checkbox]").checked = event.target.value !== "";
    }
  });

  document.addEventListener("click", function (event) {
    const all = event.target.closest("[data-ticks]");
    if (!all) { return; }
    for (const row of document.querySelector(all.dataset.ticks).children) {
      const target = row.querySelector("[data-tick-with]");
      if (!row.hidden && (!target || target.value)) { row.querySelector("input[type=checkbox]").checked = true; }
    }
  });

  /* Of a column's editor only the fields of the chosen way are shown. */
  function chooseWay(form) {
    const way = form.querySelector("[data-way]:checked");
    for (const part of form.querySelectorAll("[data-for]")) {
      show(part, !way || part.dataset.for.split(" ").includes(way.value));
    }
  }

  /* Where the screen has room for them, whole rows are shown unasked, once for each table that is opened. */
  const roomy = window.matchMedia("(min-width: 2400px)");
  let shown = null;
  function showRows(opened) {
    const link = opened.querySelector("[data-rows]");
    if (roomy.matches && link && opened.querySelector(".column") && shown !== opened) {
      shown = opened;
      window.htmx.ajax("GET", link.getAttribute("hx-get"), "#real-rows");
    }
  }

  function settle(root) {
    root.querySelectorAll(".column-editor").forEach(chooseWay);
    const opened = document.getElementById("opened");
    if (opened) { showRows(opened); }
    if (opened) {
      document.querySelectorAll("#entries a").forEach(function (link) {
        const is = link.closest("li").dataset.table === opened.dataset.table;
        if (is) { link.setAttribute("aria-current", "true"); } else { link.removeAttribute("aria-current"); }
      });
    }
  }

  document.addEventListener("change", function (event) {
    if (event.target.matches("[data-way]")) { chooseWay(event.target.form); }
  });
  document.addEventListener("htmx:afterSettle", function () {
    settle(document);
    document.querySelectorAll("[data-finds]").forEach(find);
  });
  document.addEventListener("DOMContentLoaded", function () {
    settle(document);
    document.querySelectorAll("[data-finds]").forEach(find);
    const there = window.location.hash && document.querySelector(window.location.hash);
    if (there) { there.scrollIntoView({ block: "center" }); }
    const first = document.querySelector(".is-edited :is(textarea, input:not([type=hidden]):not([type=radio]))");
    if (first) { first.focus(); }
  });
  document.addEventListener("htmx:oobAfterSwap", function (event) {
    const form = event.target.querySelector && event.target.querySelector(".column-editor");
    if (form) {
      chooseWay(form);
      const chosen = form.querySelector("[data-way]:checked");
      if (chosen) { chosen.focus(); }
    }
  });

  /* The order of tables: by dragging, or with Alt and an arrow key on a table's link. */
  function post(list) {
    const form = document.createElement("form");
    form.method = "post";
    form.action = list.dataset.order;
    const token = document.querySelector("input[name=csrfmiddlewaretoken]");
    form.append(token.cloneNode());
    for (const row of list.children) { form.append(hidden("table", row.dataset.table)); }
    const opened = document.getElementById("opened");
    if (opened) { form.append(hidden("open", opened.dataset.table)); }
    document.body.append(form);
    form.submit();
  }

  function hidden(name, value) {
    const input = document.createElement("input");
    input.type = "hidden";
    input.name = name;
    input.value = value;
    return input;
  }

  let dragged = null;
  document.addEventListener("dragstart", function (event) {
    dragged = event.target.closest && event.target.closest("[data-order] > li");
  });
  document.addEventListener("dragover", function (event) {
    const over = dragged && event.target.closest("[data-order] > li");
    if (!over || over === dragged) { return; }
    event.preventDefault();
    const box = over.getBoundingClientRect();
    over.parentNode.insertBefore(dragged, event.clientY < box.top + box.height / 2 ? over : over.nextSibling);
  });
  document.addEventListener("dragend", function () {
    if (dragged) { post(dragged.parentNode); }
    dragged = null;
  });

  document.addEventListener("keydown", function (event) {
    const row = event.altKey && event.target.closest && event.target.closest("[data-order] > li");
    if (row && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      const other = event.key === "ArrowUp" ? row.previousElementSibling : row.nextElementSibling;
      if (!other) { return; }
      event.preventDefault();
      row.parentNode.insertBefore(row, event.key === "ArrowUp" ? other : other.nextSibling);
      post(row.parentNode);
      return;
    }
    if (event.key === "Enter" && !event.shiftKey && !event.defaultPrevented && event.target.matches("[data-enter]")) {
      event.preventDefault();
      event.target.dispatchEvent(new Event("change", { bubbles: true }));
      if (!event.target.closest("[hx-trigger*=change]")) { event.target.form.requestSubmit(); }
      return;
    }
    const typing = event.target.matches("input, textarea, select");
    if (event.key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !typing) {
      const button = document.querySelector("[data-key=undo]:not(:disabled)");
      if (button) { event.preventDefault(); button.click(); }
    }
  });

  /* What is typed and not saved yet is not left behind unasked. */
  let unsaved = 0;
  document.addEventListener("htmx:beforeRequest", function (event) { if (isEdit(event)) { unsaved += 1; } });
  document.addEventListener("htmx:afterRequest", function (event) { if (isEdit(event)) { unsaved -= 1; } });
  function isEdit(event) { return event.detail.requestConfig.verb === "post"; }
  window.addEventListener("beforeunload", function (event) {
    const typed = Array.from(document.querySelectorAll(".fill textarea, .answer input[type=text], .answer textarea")).some(function (input) {
      return input.value !== input.defaultValue && !input.form.matches(".htmx-request");
    });
    if ((unsaved > 0 || typed) && !leaving) { event.preventDefault(); }
  });
  let leaving = false;
  document.addEventListener("submit", function (event) { leaving = !event.defaultPrevented; });
})();
