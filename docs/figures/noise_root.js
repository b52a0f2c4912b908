"use strict";
/* Chapter 4: gradients of batches around the gradient of all examples, and how far they are from it. */
X.figure("noise-root", (f) => {
  const { sizes, all, noise, gradients } = f.data, n = gradients.shape[2];
  f.chips("place", { values: ["start", "lowest"] });
  f.slider("batch", { values: sizes, start: 2 });
  const points = (p, i) => Array.from({ length: n }, (_, d) => [gradients.at(p, i, d, 0), gradients.at(p, i, d, 1)]);
  const cloud = f.plot({ x: [0, 1], y: [0, 1], title: f.text("up"), across: f.text("across"), label: f.text("cloud") });
  const curve = f.plot({ x: [0.8, 320], y: [0.002, 5], xlog: true, ylog: true, title: f.text("noise"), across: f.text("batch"), label: f.text("curve") }, f.side);
  return () => {
    const { place: p, batch: i } = f.state, first = noise[p][0];
    if (f.fresh("place")) {
      const every = points(p, 0);
      [0, 1].forEach((c) => { const all = every.map((q) => q[c]), low = Math.min(...all), high = Math.max(...all), room = 0.06 * (high - low); cloud["xy"[c]] = [low - room, high + room]; });
      cloud.layout(true);
      curve.line("limit", sizes, sizes.map((b) => first / Math.sqrt(b)));
      curve.line("tangent", sizes, sizes.map((b) => first / b));
      curve.text("note", 1.1, first / 180, f.text("straight"));
      curve.text("note root", 7, first / 1.4, f.text("root"));
      curve.dots("dot", sizes.map((b, k) => [b, noise[p][k]]), 4);
    }
    cloud.dots("dot", points(p, i), 3);
    cloud.dots("goal", [all[p]], 6);
    curve.dots("here", [[sizes[i], noise[p][i]]], 7);
    const short = (x) => +x.toPrecision(3);
    f.say(["noise", { size: sizes[i], noise: short(noise[p][i]) }], ...(i ? [["ratio", { size: sizes[i], one: short(first), ratio: short(first / noise[p][i]), root: short(Math.sqrt(sizes[i])) }]] : []), [p ? "rest" : "start"]);
  };
});
