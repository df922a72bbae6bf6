/* Reads a cell of the chunk map: under the pointer, or gone to with the keys. The server draws and tells; see there. */
"use strict";
(function () {
  var at = -1, wait = 0, asked = null;

  function number(map, name) { return Number(map.dataset[name]); }

  function cursor(map) {
    var mark = map.querySelector(".cell-cursor");
    if (!mark) {
      mark = document.createElement("i");
      mark.className = "cell-cursor";
      map.append(mark);
    }
    return mark;
  }

  function show(map, place) {
    var columns = number(map, "columns"), size = map.clientWidth / columns, mark = cursor(map);
    at = Math.max(0, Math.min(place, number(map, "count") - 1));
    mark.style.left = (at % columns) * size + "px";
    mark.style.top = Math.floor(at / columns) * size + "px";
    mark.style.width = mark.style.height = size + "px";
    window.clearTimeout(wait);
    wait = window.setTimeout(read, 80, map.dataset.cell, at);
  }

  function read(address, place) {
    if (asked) { asked.abort(); }
    asked = new AbortController();
    var url = address + (address.endsWith("?") ? "" : "&") + "cell=" + place;
    window.fetch(url, { signal: asked.signal, credentials: "same-origin" }).then(function (answer) {
      return answer.ok && !answer.redirected ? answer.text() : "It could not be read: the server does not answer.";
    }).then(function (text) {
      var line = document.getElementById("map-cell");
      if (line) { line.innerHTML = text; }
    }).catch(function () { /* another cell is asked for already */ });
  }

  function mapOf(event) { return event.target.closest ? event.target.closest(".chunk-map") : null; }

  document.addEventListener("pointermove", function (event) {
    var map = mapOf(event);
    if (!map) { return; }
    var box = map.getBoundingClientRect(), columns = number(map, "columns"), size = box.width / columns;
    var column = Math.min(columns - 1, Math.max(0, Math.floor((event.clientX - box.left) / size)));
    var place = Math.floor((event.clientY - box.top) / size) * columns + column;
    if (place !== at && place >= 0 && place < number(map, "count")) { show(map, place); }
  });

  document.addEventListener("keydown", function (event) {
    var map = mapOf(event);
    if (!map || event.ctrlKey || event.altKey || event.metaKey) { return; }
    var columns = number(map, "columns"), last = number(map, "count") - 1;
    var to = {
      ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: last,
      PageUp: at - 10 * columns, PageDown: at + 10 * columns
    }[event.key];
    if (to === undefined) { return; }
    event.preventDefault();
    show(map, to);
  });

  document.addEventListener("focusin", function (event) {
    var map = mapOf(event);
    if (map && event.target === map && !map.matches(":active")) { show(map, Math.max(0, at)); }
  });
})();
