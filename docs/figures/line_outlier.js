"use strict";
/* Chapter 2: one target that is moved away, the bowl of each loss, and the best line of each bowl. */
X.figure("line-outlier", (f) => {
  const { x, y, weights, intercepts, targets, delta, formulas } = f.data, n = weights.length, m = intercepts.length, last = x.length - 1;
  const names = Object.keys(formulas), half = (weights[1] - weights[0]) / 2;
  f.chips("loss", { values: names });
  f.slider("target", { values: targets, start: 2, quality: (k) => Math.max(0.03, 1 - Math.abs(lowest(name(), k).w - lowest(name(), targets.length - 1).w) / 1.8) });
  const name = () => f.value("loss"), made = {};

  /** The sum of the losses over these examples, for each line of the map. */
  function sums(loss, xs, ys) {
    const rule = X.rules[loss], $ = { delta };
    return Float64Array.from({ length: n * m }, (_, at) => {
      let sum = 0;
      xs.forEach((v, p) => { $.x = weights[at % n] * v + intercepts[Math.floor(at / n)]; $.y = ys[p]; $.e = $.x - $.y; sum += rule($); });
      return sum;
    });
  }
  /** The losses of all lines, and the lowest, with the last target at position k. */
  function lowest(loss, k) {
    return (made[`${loss} ${k}`] ||= (() => {
      const others = (made[loss] ||= sums(loss, x.slice(0, last), y)), moved = sums(loss, [x[last]], [targets[k]]);
      const field = others.map((sum, at) => (sum + moved[at]) / x.length), low = field.reduce((a, b) => Math.min(a, b)), at = field.indexOf(low);
      return { field, low, high: field.reduce((a, b) => Math.max(a, b)), w: weights[at % n], b: intercepts[Math.floor(at / n)] };
    })());
  }

  const picture = f.plot({ x: [0, 1], y: [-5.5, 4], title: f.text("targets"), across: f.text("input") });
  const near = (v) => targets.reduce((a, t, k) => (Math.abs(t - v) < Math.abs(targets[a] - v) ? k : a), 0);
  picture.control(f.text("picture"), (_, v) => f.change({ target: near(v) }), (_, up) => f.change({ target: Math.min(targets.length - 1, Math.max(0, f.state.target + up)) }));
  const map = f.plot({ x: [weights[0] - half, weights[n - 1] + half], y: [intercepts[0] - half, intercepts[m - 1] + half], across: f.text("weight"), title: f.text("intercept"), label: f.text("map") }, f.side);
  f.legend(f.text("high"), f.text("low"));
  const shape = f.plot({ x: [-4, 4], y: [0, 8], across: f.text("error"), title: f.text("one"), label: f.text("one") });
  const errors = Array.from({ length: 81 }, (_, k) => (k - 40) / 10), words = { "if&nbsp;": `${f.text("when")}&nbsp;`, else: f.text("otherwise") };
  f.task("sign", () => { const [far, own] = [0, targets.length - 1].map((k) => lowest(name(), k)); return f.state.target === 0 && Math.abs(far.w - own.w) + Math.abs(far.b - own.b) < 0.3; });
  const key = X.element("p", { class: "legend" }, f.main);
  for (const other of names) X.element("i", { class: `stroke ${other}` }, X.element("span", {}, key)).after(f.text(other));

  return () => {
    const k = f.state.target, loss = name(), { field, low, high, w, b } = lowest(loss, k), own = lowest(loss, targets.length - 1);
    if (f.fresh("loss")) {
      f.formula({ lines: formulas[loss].map((line) => line.replace(/(?<=<mtext>)(if&nbsp;|else)(?=<)/g, (z) => words[z])), filled: [] });
      for (const other of names) {
        shape.line(`curve ${other}`, errors, errors.map((e) => X.rules[other]({ x: e, y: 0, e, delta })));
        f.root.querySelectorAll(`.${other}`).forEach((n) => n.classList.toggle("chosen", other === loss));
      }
    }
    map.cells(n, m, (i, j) => f.paint(Math.round(14 * (1 - Math.log(field[j * n + i] / low) / Math.log(high / low))) / 14));
    const walk = targets.map((_, q) => lowest(loss, q));
    map.line("trail", walk.map((q) => q.w), walk.map((q) => q.b));
    map.dots("cross", [[w, b]], 7);
    picture.line("tangent", [0, 1], [own.b, own.w + own.b]);
    picture.line("line", [0, 1], [b, w + b]);
    picture.dots("point", x.slice(0, last).map((v, p) => [v, y[p]]), 3.5);
    picture.dots("here", [[x[last], targets[k]]], 6);
    f.say(["line", { loss: f.text(loss), target: targets[k], weight: w.toFixed(2), intercept: b.toFixed(2) }], k === targets.length - 1 ? ["own"] : w === own.w && b === own.b ? ["same"] : ["moved", { from: own.w.toFixed(2) }]);
  };
});
