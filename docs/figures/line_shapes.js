"use strict";
/* Chapter 2: the same program twice: predictions as a column, or as a row, against targets in a row. */
X.figure("line-shapes", (f) => {
  const { x, y, steps, runs } = f.data, names = Object.keys(runs), ts = Array.from({ length: steps + 1 }, (_, t) => t);
  f.chips("shape", { values: names });
  f.player("t", { values: ts });
  const picture = f.plot({ x: [0, 1], y: [-0.5, 4], title: f.text("target"), across: f.text("input"), label: f.text("picture") });
  const curve = f.plot({ x: [0, steps], y: [0, 4], title: f.text("loss"), across: f.text("t"), label: f.text("curve") }, f.side);
  const losses = (who) => ts.map((t) => runs[who].at(t, 2));
  return () => {
    const who = f.value("shape"), t = f.state.t, [w, b, loss] = [0, 1, 2].map((k) => runs[who].at(t, k));
    if (f.fresh("shape")) {
      curve.line("limit", ts, losses(names.find((other) => other !== who)));
      curve.line("line", ts, losses(who));
      picture.dots("point", x.map((v, k) => [v, y[k]]), 3.5);
    }
    picture.line("line", [0, 1], [b, w + b]);
    curve.dots("here", [[t, loss]], 5);
    f.say([who, { step: t, first: runs[who].at(0, 2).toFixed(2), loss: loss.toFixed(2), weight: w.toFixed(2).replace("-0.00", "0.00"), intercept: b.toFixed(2) }]);
  };
});
