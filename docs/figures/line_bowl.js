"use strict";
/* Chapter 2: points and a line; the loss of every line as a map, which is a slider for two numbers. */
X.figure("line-bowl", (f) => {
  const { x, y, weights, intercepts, formula } = f.data, n = weights.length;
  const loss = (w, b) => x.reduce((sum, v, i) => sum + X.rules.squared({ x: w * v + b, y: y[i] }), 0) / x.length;
  const field = intercepts.map((b) => weights.map((w) => loss(w, b))), all = field.flat();
  const low = Math.min(...all), high = Math.max(...all), best = all.indexOf(low);
  const quality = (i, j) => Math.max(0.03, 1 - Math.log(field[j][i] / low) / Math.log(high / low));
  f.slider("weight", { values: weights, start: 20, text: (w) => w.toFixed(2), field: "w", quality: (i) => quality(i, f.state.intercept) });
  f.slider("intercept", { values: intercepts, start: 40, text: (b) => b.toFixed(2), field: "b", quality: (j) => quality(f.state.weight, j) });
  const picture = f.plot({ x: [0, 1], y: [-1, 5], title: f.text("target"), across: f.text("input"), label: f.text("picture") });
  const map = f.map("weight", "intercept");
  f.legend(f.text("high"), f.text("low"));
  f.formula(formula);
  f.task("lowest", () => all[best] === field[f.state.intercept][f.state.weight]);
  f.task("flat", () => f.state.weight === 0 && field.every((row) => row[0] >= field[f.state.intercept][0]));
  return () => {
    const { weight: i, intercept: j } = f.state, w = weights[i], b = intercepts[j], now = field[j][i];
    if (f.fresh()) {
      map.draw((k, l) => Math.round(14 * quality(k, l)) / 14);
      map.plot.dots("goal", [[best % n, Math.floor(best / n)]], 4);
      picture.mark("path", "errors");
      picture.line("line", [], []);
      picture.dots("point", x.map((v, k) => [v, y[k]]), 3.5);
    }
    picture.mark("path", "errors").setAttribute("d", x.map((v, k) => picture.path([v, v], [y[k], w * v + b])).join(""));
    picture.line("line", [0, 1], [b, w + b]);
    f.numbers({ w, b: b < 0 ? `(\u2212${-b})` : b });
    f.say(["line", { weight: w.toFixed(2), intercept: b.toFixed(2), loss: now.toFixed(3) }], now === low ? ["lowest"] : ["lower", { times: +(now / low).toPrecision(now < 1.1 * low ? 4 : 2) }],
      ["predicts", { input: 0.5, prediction: (w / 2 + b).toFixed(2) }]);
  };
});
