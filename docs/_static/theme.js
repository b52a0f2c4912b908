// The reader's choice of colors, before anything is drawn. Furo reads it from the body.
"use strict";
(() => {
  let chosen = "auto";
  try {
    chosen = localStorage.getItem("theme") || "auto";
  } catch (error) {
    // no storage: as the system has them
  }
  const set = () => {
    if (document.body) {
      document.body.dataset.theme = chosen;
      watch.disconnect();
    }
  };
  const watch = new MutationObserver(set);
  watch.observe(document.documentElement, { childList: true });
})();
