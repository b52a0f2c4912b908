"use strict";
/* Chapter 4: paths of four seeds over the bowl of all lines, and the loss over steps or examples. */
X.figure("noise-cloud", (f) => {
  const { sizes, rates, steps, last, spent, seeds, bowl: [a, m], best, near, grain, noise, arrived, ends, fewest } = f.data, ts = [...Array(steps + 1).keys()];
  f.chips("against", { values: ["steps", "examples"] });
  const on = () => f.state.against, after = (i, j) => Math.round(arrived.at(i, j)), need = (i, j) => after(i, j) * (on() ? sizes[i] : 1);
  const quality = (i, j) => { const [p, q] = ends[on()]; return Math.max(0.04, 1 - Math.log(need(i, j) / p) / Math.log(q / p)); };
  const short = (x) => +x.toPrecision(2);
  f.slider("batch", { values: sizes, start: 1, quality: (i) => quality(i, f.state.rate) });
  f.slider("rate", { values: rates, start: 28, text: short, quality: (j) => quality(f.state.batch, j) });
  f.slider("seed", { values: seeds });

  // a path: the step of gradient descent, and the noise of the batch, which is what was kept of the training
  const made = {}, height = ([w, b], x = w - best[0], y = b - best[1]) => a * x * x + 2 * m * x * y + y * y;
  function path(i, j, k) {
    const all = [[0, 0]], unit = f.data.unit * 2 ** Math.round(grain.at(i, j)), n = (t, c) => unit * Math.round(noise.at(i, j, k, t, c));
    for (let t = 0; t < steps; t++) {
      const [w, b] = all[t], x = w - best[0], y = b - best[1], r = 2 * rates[j];
      all.push([w - r * (a * x + m * y) + n(t, 0), b - r * (m * x + y) + n(t, 1)]);
    }
    return all;
  }
  const over = (all, f) => ts.map((t) => f(...all.map((p) => height(p[t])))), mean = (...all) => all.reduce((x, y) => x + y) / all.length;
  const run = (i, j) => (made[i * rates.length + j] ||= (() => {
    const all = seeds.map((_, k) => path(i, j, k));
    return { all, mean: over(all, mean), least: over(all, Math.min), most: over(all, Math.max) };
  })());
  const seen = (i) => ts.map((t) => t * (on() ? sizes[i] : 1)), rest = (i, j) => mean(...run(i, j).mean.slice(-last));

  const stage = f.plot({ x: [-0.6, 5], y: [-0.6, 2.9], title: f.text("intercept"), across: f.text("weight"), label: f.text("stage") });
  const axis = { y: [1e-3, 10], ylog: 1, title: f.text("height") };
  const curves = [f.plot({ ...axis, x: [0, steps], across: f.text("steps") }), f.plot({ ...axis, x: [1, steps * sizes.at(-1)], xlog: 1, across: f.text("examples") })];
  f.legend(f.text("one"), f.text("many"), "", f.main);
  const map = f.map("rate", "batch");
  f.legend(f.text("late"), f.text("early"), f.text("never"));

  const here = () => [f.state.batch, f.state.rate], first = () => need(...here()) === ends[on()][0];
  f.task("steps", () => !on() && first());
  f.task("examples", () => on() && first());
  f.task("settle", () => after(...here()) > 0 && rest(...here()) > near);

  return () => {
    const [i, j] = here(), k = f.state.seed, now = run(i, j), curve = curves[on()], cut = (all) => all.slice(on()), xs = cut(seen(i));
    if (f.fresh()) {
      stage.cells(84, 54, (x, y) => f.paint(Math.round(8 - 4 * Math.log10(0.02 + height([(x + 0.5) / 15 - 0.6, (y + 0.5) / 15.4 - 0.6]))) / 34));
      stage.dots("goal", [best], 5);
    }
    if (f.fresh("against")) {
      curves.forEach((c) => { c.box.hidden = c !== curve; });
      curve.layout(true);
      map.draw((x, y) => quality(y, x));
    }
    if (f.fresh("against", "rate")) curve.ghosts(sizes.map((_, n) => [cut(seen(n)), cut(run(n, j).mean), f.paint(n / 8)]), 0.9);
    const draw = (s, p) => stage.line(s, p.map((q) => q[0]), p.map((q) => q[1]));
    now.all.forEach((p, n) => draw(`other of-${n}`, p));
    draw("line", now.all[k]);
    stage.dots("start", [[0, 0]], 5);
    curve.band("band", xs, cut(now.least), cut(now.most));
    curve.line("line", xs, cut(now.mean));
    curve.line("limit", curve.x, [near, near]);
    const n = after(i, j), end = rest(i, j), size = sizes[i], few = fewest[on()][j], at = now.mean[spent / size];
    curve.line("level", xs.slice(-last), Array(last).fill(end));
    curve.dots("here", on() && at ? [[spent, at]] : []);
    f.say(["who", { size, rate: short(rates[j]) }], ...(Number.isNaN(end) ? [["diverges"]] : [n ? ["near", { near, steps: n, examples: n * size }] : ["never", { near, steps }], ...(on() && at ? [["spent", { spent, height: short(at) }]] : []), ["end", { last, height: short(end) }]]),
      ...(few ? [[f.value("against"), { size: few }]] : []));
  };
});
