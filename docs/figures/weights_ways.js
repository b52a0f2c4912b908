"use strict";
/* Chapter 8: the sizes of the weights in order, after L1 in the loss and after L1 by its proximal step. */
X.figure("weights-ways", (f) => {
  const { ways, amounts, weights, every, sizes, zeros, tiny } = f.data, n = sizes.prox.shape[1];
  const ranks = Array.from({ length: n }, (_, k) => 1 + k * every), lines = { adam: "curve", sgd: "tangent", prox: "line" };
  f.slider("weight", { values: amounts, start: 10, text: (a) => X.number(+a.toPrecision(2)), quality: (i) => Math.max(0.03, zeros.prox[i] / weights) });
  const picture = f.plot({ x: [1, weights], y: [1e-6, 10], ylog: true, title: f.text("size"), across: f.text("rank"), label: f.text("picture") });
  const table = X.element("table", { class: "counts" }, f.side), head = X.element("tr", {}, X.element("thead", {}, table)), body = X.element("tbody", {}, table);
  for (const key of ["way", "zero", "below"]) X.element("th", { scope: "col" }, head, f.text(key));
  const cells = ways.map((way) => {
    const row = X.element("tr", {}, body), th = X.element("th", { scope: "row" }, row);
    X.element("i", { class: `stroke ${lines[way]}` }, th);
    X.element("span", {}, th, f.text(way));
    return [X.element("td", {}, row), X.element("td", {}, row)];
  });
  return () => {
    const i = f.state.weight;
    ways.forEach((way, k) => {
      const all = ranks.map((_, r) => 10 ** sizes[way].at(i, r)), last = weights - zeros[way][i];
      picture.line(lines[way], ranks, all);
      if (way === "prox") { const end = all.filter((x) => !Number.isNaN(x)).pop(); picture.line("limit", [last, last], [end ?? 10, 1e-6]); picture.text("gone", Math.min(last + 12, weights * 0.8), 3e-6, last < weights * 0.8 ? f.text("gone") : ""); }
      [zeros, tiny].forEach((x, c) => { cells[k][c].textContent = x[way][i]; });
    });
    f.say(["counts", { weight: +amounts[i].toPrecision(2), adam: zeros.adam[i], sgd: zeros.sgd[i], prox: zeros.prox[i], weights }]);
  };
});
