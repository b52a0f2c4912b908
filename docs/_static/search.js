// Sphinx's search: names as one types them, definitions and titles first, other spellings.
"use strict";
(() => {
  const ROOT = "jaxopt_edu.";
  const SAME = [
    ["lr", "learning rate"],
    ["regularization", "regularizer", "penalty"],
    ["minibatch", "mini-batch", "batch"],
    ["hyper-parameter", "hyper parameter", "hyperparameter"],
    ["cross validation", "cross-validation"],
  ];
  const BRITISH = /\b((?:regular|optim|normal|initial|minim|maxim|standard|general|penal|random)i)s(?=e|a|i)/g;

  // The query in the spelling of the pages, last, and the same in other words.
  const variants = (query) => {
    const plain = query.replace(BRITISH, "$1z").replace(/\bover[- ]?fit(s|ted|ting)?\b/gi, "overfitting");
    const others = SAME.flatMap((group) => group.flatMap((word) => {
      const whole = new RegExp(`(?<![\\w-])${word}(?![\\w-])`, "i");
      return whole.test(plain) ? group.filter((x) => x !== word).map((x) => plain.replace(whole, x)) : [];
    }));
    return [...new Set([...others, plain])];
  };

  const objects = (last) => Search.performObjectSearch(last.toLowerCase(), new Set([last.toLowerCase()]));
  const scored = (items, score) => items.map((item) => Object.assign([...item], { 4: score }));

  // Entries of the name: jo.adam, jaxopt_edu.adam, adam(1e-3), jo.optimizers.adam, jo.Adam.rule.
  const named = (query) => {
    const name = query.trim().replace(/\(.*$/, "").replace(/^(jo|jaxopt_edu)\./i, "");
    if (!/^[\w.]*\w$/.test(name)) return [];
    const parts = name.split(".");
    const whole = (path) => objects(path.at(-1)).filter((x) => x[1].toLowerCase() === (ROOT + path.join(".")).toLowerCase());
    const same = whole(parts).flatMap((x) => scored([x], x[1] === ROOT + name ? 201 : 200));
    if (same.length) return same;
    const owner = parts.length > 1 ? whole(parts.slice(0, -1)) : [];
    const last = objects(parts.at(-1)).filter((x) => x[1].toLowerCase().endsWith(`.${parts.at(-1)}`.toLowerCase()));
    return owner.length ? scored(owner, 200) : scored(last, parts.length > 1 ? 100 : 40);
  };

  // A hit with a score of ours: definitions of terms, titles, fields of entries, chapters, the rest.
  const ranked = ([page, title, anchor, told, score, file, kind]) => {
    const inReference = anchor.startsWith(`#${ROOT}`);
    const shown = inReference ? anchor.slice(1).replace(ROOT, "jo.") : title;
    const chapter = /^learn\/(?!index)/.test(page) ? 10 : 0;
    if (kind === SearchResultKind.index) score = inReference ? 0.6 * score : score + 50;
    else if (kind === SearchResultKind.title) score = 8 * score + chapter;
    else if (kind === SearchResultKind.text) score += page.startsWith("reference/") ? 0 : 4 + chapter;
    return [page, shown, anchor, told, score, file, kind];
  };

  const perform = Search._performSearch;
  Search._performSearch = (query) => {
    const found = new Map();
    const items = variants(query).flatMap((words) => perform(...Search._parseQuery(words)));
    for (const hit of [...items, ...named(query)].map(ranked)) {
      const place = hit[0] + hit[2];
      if (!found.has(place) || found.get(place)[4] < hit[4]) found.set(place, hit);
    }
    return [...found.values()].sort(_orderResultsByScoreThenName);
  };

  // The text that a hit shows: of its entry or section. Ids have dots, which a selector would need escaped.
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    for (const node of page.querySelectorAll(".headerlink, script, style, annotation")) node.remove();
    const at = anchor && page.getElementById(decodeURIComponent(anchor.slice(1)));
    const part = at || page.querySelector("[role=main]");
    return part ? (part.matches("dt") ? part.parentElement : part).textContent : "";
  };

  document.addEventListener("DOMContentLoaded", () => {
    const english = document.querySelector("a.jo-english-search");
    if (english) english.search = location.search;
  });
})();
