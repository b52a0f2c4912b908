"use strict";
/* What `Explored.html` writes: sliders for the axes, a map of the first two, the curve of a run. */

(async () => {
  const D = JSON.parse(document.getElementById("data").textContent);
  const A = await X.decode(D.array), root = document.getElementById("figure"), N = X.number;
  const count = D.sliders.length, T = D.steps.length, S = D.seeds, last = T - 1;
  const shown = D.log ? (v) => 10 ** v : (v) => v;
  const numeric = D.sliders.map((s, i) => i).filter((i) => D.sliders[i].numeric);

  // ---- looking up: over seeds the mean (of what is finite), least and most
  const seeds = Array.from({ length: S }, (_, s) => s);
  const values = (at, t) => seeds.map((s) => A.at(...at, s, t));
  const mean = (at, t) => values(at, t).reduce((a, b) => a + b, 0) / S;
  const none = D.best === null; // no result is finite
  const goodness = (v) => (none ? NaN : Math.min(1, Math.max(0, (v - D.worst) / (D.best - D.worst || 1))));
  const quality = (at) => goodness(mean(at, last));
  const elsewhere = (pos, changes) => pos.map((p, i) => changes[i] ?? p);

  // ---- the state, in the address as well
  const state = D.start.slice();
  let now = last; // the step that is told
  function follow() {
    for (const part of location.hash.slice(1).split("&")) {
      const [name, i] = part.split("="), k = D.sliders.findIndex((s) => encodeURIComponent(s.name) === name);
      if (k >= 0 && +i >= 0 && +i < D.sliders[k].values.length) state[k] = Math.round(+i);
    }
  }
  follow();
  let touched = numeric[0] ?? 0;
  const draw = X.once(show);
  function change(k, i) { state[k] = i; touched = k; draw(); }

  const lost = D.trained ? "diverged" : "no number";
  const range = (k) => {
    const v = D.sliders[k].values;
    return `${D.sliders[k].name} ${N(v[0])} to ${N(v[v.length - 1])}`;
  };

  // ---- the parts
  const side = X.element("div", { class: "side" }, root), main = X.element("div", { class: "main" }, root);
  const controls = D.sliders.map((s, k) => (s.numeric ? X.slider : X.chips)(side, {
    name: s.name, count: s.values.length, text: (i) => N(s.values[i]), onInput: (i) => change(k, i),
  }));
  const steps = T > 1 && X.slider(side, { name: "step", count: T, text: (t) => N(D.steps[t]), onInput: (t) => { now = t; draw(); } });
  const legend = X.element("p", { class: "legend" }, side);
  if (!none) {
    X.element("span", {}, legend, N(shown(D.worst)));
    X.element("i", { class: "ramp", role: "img", "aria-label": `${D.name} from bad to good` }, legend);
    X.element("span", {}, legend, N(shown(D.best)));
  }
  X.element("i", { class: "missing" }, legend);
  X.element("span", {}, legend, none ? "no finite result" : lost);
  if (D.worse) {
    const share = D.worse[0] < 0.01 ? "Less than 1" : Math.round(100 * D.worse[0]);
    X.element("p", { class: "legend worse" }, side, `${share}% of the results are worse than ${N(shown(D.worst))} (the worst is ${N(shown(D.worse[1]))}). They have its colour.`);
  }
  const [a, b] = numeric, both = numeric.length > 1;
  const map = both && X.map(main, {
    xs: D.sliders[a].values, ys: D.sliders[b].values, across: D.sliders[a].name, up: D.sliders[b].name,
    label: `Map of all runs: ${range(a)}, ${range(b)}. The arrow keys change them.`,
    onPick: (i, j) => { state[a] = i; state[b] = j; touched = a; draw(); },
  });
  const low = Math.min(D.worst, D.best), high = Math.max(D.worst, D.best);
  const curve = T > 1 && !none && X.plot(main, {
    x: [D.steps[0], D.steps[last]], y: [low, high], title: D.name, across: "steps",
    yticks: [0, 0.5, 1].map((f) => low + f * (high - low)).map((v) => [v, N(+shown(v).toPrecision(3))]),
  });
  const says = X.element("p", { class: "says", "aria-live": "polite" }, root);
  let paint;

  function layout() {
    paint = X.palette();
    show();
  }

  /** Where the curve crosses an edge of its picture: [[step, edge], ...]. */
  function leaves(ys) {
    const found = [];
    for (let t = 1; t < T; t++)
      for (const edge of [low, high]) {
        const from = ys[t - 1] - edge, to = ys[t] - edge;
        if (from * to < 0) found.push([D.steps[t - 1] + (from / (from - to)) * (D.steps[t] - D.steps[t - 1]), edge]);
      }
    return found.slice(0, 20);
  }

  /** Arrow heads that point out of the picture. */
  function arrows(places) {
    const node = curve.mark("path", "leaves");
    node.style.fill = "var(--mark)";
    node.setAttribute("d", places.map(([x, y]) => `M${(curve.sx(x) - 5).toFixed(1)} ${curve.sy(y).toFixed(1)}h10l-5 ${y === high ? -7 : 7}Z`).join(""));
  }

  function show() {
    controls.forEach((c, k) => {
      c.set(state[k]);
      c.draw((i) => quality(elsewhere(state, { [k]: i })), paint);
    });
    if (steps) {
      steps.set(now);
      steps.draw((t) => goodness(mean(state, t)), paint);
    }
    if (map) {
      map.set(state[a], state[b]);
      map.draw((i, j) => quality(elsewhere(state, { [a]: i, [b]: j })), paint);
    }
    if (curve) {
      curve.layout();
      const over = (at, f) => D.steps.map((_, t) => f(at, t)), line = over(state, mean), here = line[now];
      const n = D.sliders[touched].values.length;
      curve.ghosts(Array.from({ length: n }, (_, i) => elsewhere(state, { [touched]: i })).map((at) => [D.steps, over(at, mean), paint(quality(at))]));
      if (S > 1) curve.band("band", D.steps, over(state, (at, t) => Math.min(...values(at, t))), over(state, (at, t) => Math.max(...values(at, t))));
      curve.line("line", D.steps, line);
      const outside = here < low || here > high;
      curve.dots("here", outside ? [] : [[D.steps[now], here]], 5);
      arrows(outside ? [...leaves(line), [D.steps[now], here > high ? high : low]] : leaves(line));
    }
    const at = values(state, now).map(shown), average = at.reduce((x, y) => x + y, 0) / S, where = D.sliders.map((s, k) => `${s.name} = ${N(s.values[state[k]])}`).join(", ");
    const spread = S > 1 ? ` (from ${N(Math.min(...at))} to ${N(Math.max(...at))} over ${S} seeds)` : "";
    const when = D.steps[now] ? ` after ${D.steps[now]} step${D.steps[now] === 1 ? "" : "s"}` : "";
    says.textContent = Number.isNaN(average) ? `${where}: ${lost}${when}.` : `${where}: ${D.name} ${N(average)}${spread}${when}.`;
    if (location.protocol !== "about:") history.replaceState(null, "", `#${D.sliders.map((s, k) => `${encodeURIComponent(s.name)}=${state[k]}`).join("&")}`);
  }

  addEventListener("resize", X.once(layout));
  addEventListener("hashchange", () => { follow(); draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", layout);
  layout();
  document.documentElement.dataset.drawn = "all";
})();
