/* Shows notices of the browser, once somebody allowed them; one of the open pages fetches them. */
"use strict";
(function () {
  const news = document.querySelector("meta[name=notices]");
  const allow = document.querySelector("[data-notices-allow]");
  if (!news || !("Notification" in window)) { return; }
  function show(notice) {
    const shown = new Notification(notice.title, { body: notice.text, tag: "migrator-" + notice.id });
    shown.onclick = function () { window.open(notice.path, "_blank", "noopener"); shown.close(); };
  }
  function fetchNews() {
    if (Notification.permission !== "granted") { return; }
    fetch(news.content, { headers: { Accept: "application/json" } })
      .then(function (answer) { return answer.ok ? answer.json() : { notices: [] }; })
      .then(function (found) { found.notices.forEach(show); })
      .catch(function () { /* the next try will tell */ });
  }
  if (allow && Notification.permission === "default") {
    allow.hidden = false;
    allow.addEventListener("click", function () {
      Notification.requestPermission().then(function () { allow.hidden = true; fetchNews(); });
    });
  }
  fetchNews();
  window.setInterval(fetchNews, 15000);
})();
