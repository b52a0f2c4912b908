"use strict";
/* Chapter 3: the loss over one weight, its slope where one stands, and the steps that follow. */
X.figure("step-slope", (f) => {
  const { parabola: [a, b, c], best, rates, places, steps, formula } = f.data;
  const loss = (w) => (a * w + b) * w + c, slope = (w) => 2 * a * w + b;
  const walk = (w, rate) => { const all = [w]; for (let t = 0; t < steps; t++) all.push(all[t] - rate * slope(all[t])); return all; };
  const end = (w, rate) => { const all = walk(w, rate), d = Math.abs(all[steps] - best); return d > Math.abs(w - best) ? NaN : Math.max(0.03, 1 - d / 6); };
  f.slider("weight", { values: places, start: 75, text: (w) => w.toFixed(1), field: "w", quality: (i) => end(places[i], rates[f.state.rate]) });
  f.slider("rate", { values: rates, start: 25, field: "learning_rate", quality: (i) => end(places[f.state.weight], rates[i]) });
  const top = loss(places[0]), picture = f.plot({ x: [places[0], places[100]], y: [0, top], title: f.text("loss"), across: f.text("weight"), label: f.text("picture") });
  f.formula(formula);
  return () => {
    const w = places[f.state.weight], rate = rates[f.state.rate], s = slope(w), path = walk(w, rate), reach = 1.6;
    f.numbers({ learning_rate: rate });
    picture.line("curve", places, places.map(loss));
    picture.line("tangent", [w - reach, w + reach], [loss(w) - reach * s, loss(w) + reach * s]);
    picture.line("line", path, path.map(loss));
    picture.dots("dot", path.slice(1).map((v) => [v, loss(v)]), 3);
    picture.dots("here", [[w, loss(w)]], 6);
    f.say(["slope", { weight: w.toFixed(1), slope: s.toFixed(2), loss: loss(w).toFixed(2) }], ["step", { rate, step: (-rate * s).toFixed(2).replace("-", "\u2212"), next: path[1].toFixed(2) }], Math.abs(path[steps] - best) > Math.abs(w - best) ? ["away"] : ["there", { steps, end: path[steps].toFixed(2) }]);
  };
});
