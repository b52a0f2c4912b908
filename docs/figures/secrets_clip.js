"use strict";
/* Chapter 15: the gradients of a batch, one of them as long as one likes, and what becomes of their mean. */
X.figure("secrets-clip", (f) => {
  const { others, norms, towards } = f.data, ways = ["each", "mean", "none"], size = others.length + 1, bound = 1 / size;
  f.chips("how", { values: ways });
  const length = (v) => Math.hypot(...v), clipped = (v) => v.map((x) => x * Math.min(1, 1 / length(v)));
  const one = (norm) => towards.map((x) => x * norm);
  const mean = (all, how) => {
    const used = how === "each" ? all.map(clipped) : all;
    const m = [0, 1].map((k) => used.reduce((sum, v) => sum + v[k], 0) / size);
    return how === "mean" ? clipped(m) : m;
  };
  const without = Object.fromEntries(ways.map((how) => [how, mean(others, how)]));
  const ends = (norm, how) => mean([...others, one(norm)], how);
  const moved = (norm, how) => length(ends(norm, how).map((x, k) => x - without[how][k]));
  f.slider("norm", { values: norms, start: 40, text: (n) => X.number(+n.toPrecision(3)), field: "norm", quality: (i) => { const d = moved(norms[i], f.value("how")); return d > 1.001 * bound ? Math.max(0.03, 0.5 - 0.17 * Math.log10(d / bound)) : 1; } });
  const stage = f.plot({ x: [-1.75, 1.75], y: [-1.1, 1.5], title: f.text("gradients"), across: f.text("first"), label: f.text("stage") });
  const far = f.plot({ x: [norms[0], norms[40]], xlog: true, y: [0.001, 100], ylog: true, title: f.text("moved"), across: f.text("norm") }, f.side);
  const lines = { each: "line", mean: "curve", none: "tangent" };
  const key = X.element("p", { class: "legend" }, f.side);
  X.element("span", {}, key, `${f.text("how")}:`);
  for (const how of ways) { const pair = X.element("span", { class: "pair" }, key); X.element("i", { class: `stroke ${lines[how]}` }, pair); pair.append(f.text(how)); }
  return () => {
    const how = f.value("how"), norm = f.value("norm"), end = ends(norm, how), by = moved(norm, how);
    const shown = (v) => (how === "each" ? clipped(v) : v), last = shown(one(norm));
    if (f.fresh("how")) stage.ghosts(others.map(shown).map((v) => [[0, v[0]], [0, v[1]], X.style("--ink")]), 0.45);
    const ring = Array.from({ length: 65 }, (_, k) => (k * Math.PI) / 32);
    stage.line("limit", ring.map(Math.cos), ring.map(Math.sin));
    stage.line("curve", [0, last[0]], [0, last[1]]);
    stage.line("tangent", [0, without[how][0]], [0, without[how][1]]);
    stage.line("line", [0, end[0]], [0, end[1]]);
    stage.dots("start", [without[how]], 4);
    stage.dots("here", [end], 6);
    const small = norm < 1.6 || how === "each";
    stage.text("of train", small ? last[0] - 0.08 : -1.15, small ? last[1] : 1.25, f.text("one"), "end");
    const right = end[0] > 0;
    stage.text("of validation", right ? 1.74 : end[0] + 0.12, end[1] + (right ? 0.28 : 0.05), f.text("with"), right ? "end" : "start");
    if (f.fresh()) { ways.forEach((w) => far.line(lines[w], norms, norms.map((n) => moved(n, w)))); far.text("note", 0.11, bound * 1.5, "C / B"); }
    far.line("limit", [norms[0], norms[40]], [bound, bound]);
    far.dots("here", [[norm, by]], 5);
    f.say([`of ${how}`, { norm: +norm.toPrecision(3), by: +by.toPrecision(3) }], [by > 1.001 * bound ? "over" : how === "each" ? "under" : "short", { bound, times: +(by / bound).toPrecision(2) }]);
  };
});
