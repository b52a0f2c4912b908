"use strict";
/* Chapter 4: paths of four seeds over the bowl of all lines, and the loss over steps or examples. */
X.figure("noise-cloud", (f) => {
  const { sizes, rates, steps, seeds, bowl: [a, m], best, near, grain, noise, arrived, ends } = f.data, upTo = (n) => [...Array(n).keys()], ts = upTo(steps + 1);
  f.chips("against", { values: ["steps", "examples"] });
  const on = () => f.state.against, after = (i, j) => Math.round(arrived.at(i, j)), need = (i, j) => after(i, j) * (on() ? sizes[i] : 1);
  const quality = (i, j) => { const [least, most] = ends[on()]; return Math.max(0.04, 1 - Math.log(need(i, j) / least) / Math.log(most / least)); };
  const short = (x) => +x.toPrecision(3);
  f.slider("batch", { values: sizes, start: 1, quality: (i) => quality(i, f.state.rate) });
  f.slider("rate", { values: rates, start: 28, text: short, quality: (j) => quality(f.state.batch, j) });
  f.slider("seed", { values: upTo(seeds).map((k) => k + 1) });

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
  const over = (all, f) => ts.map((t) => f(all.map((p) => height(p[t])))), mean = (all) => all.reduce((x, y) => x + y) / all.length;
  const run = (i, j) => (made[i * rates.length + j] ||= (() => {
    const all = upTo(seeds).map((k) => path(i, j, k));
    return { all, mean: over(all, mean), least: over(all, (h) => Math.min(...h)), most: over(all, (h) => Math.max(...h)) };
  })());
  const seen = (i) => ts.map((t) => t * (on() ? sizes[i] : 1)), last = (i, j) => mean(run(i, j).mean.slice(-20));

  const stage = f.plot({ x: [-0.6, 5], y: [-0.6, 2.9], title: f.text("intercept"), across: f.text("weight"), label: f.text("stage") });
  const axis = { y: [1e-3, 10], ylog: true, title: f.text("height") };
  const curves = [f.plot({ ...axis, x: [0, steps], across: f.text("steps") }), f.plot({ ...axis, x: [1, steps * sizes.at(-1)], xlog: true, across: f.text("examples") })];
  f.legend(f.text("one"), f.text("many"), "", f.main);
  const map = f.map("rate", "batch");
  f.legend(f.text("late"), f.text("early"), f.text("never"));

  const here = () => [f.state.batch, f.state.rate], first = () => need(...here()) === ends[on()][0];
  f.task("steps", () => !on() && first());
  f.task("examples", () => on() && first());
  f.task("settle", () => after(...here()) > 0 && last(...here()) > near);

  return () => {
    const [i, j] = here(), k = f.state.seed, now = run(i, j), curve = curves[on()], cut = (all) => all.slice(on()), xs = cut(seen(i));
    if (f.fresh()) {
      stage.cells(84, 54, (x, y) => f.paint(Math.round(8 - 4 * Math.log10(0.02 + height([(x + 0.5) / 15 - 0.6, (y + 0.5) * 3.5 / 54 - 0.6]))) / 34));
      stage.dots("goal", [best], 5);
    }
    if (f.fresh("against")) {
      curves.forEach((c) => { c.box.hidden = c !== curve; });
      curve.layout(true);
      map.draw((x, y) => quality(y, x));
    }
    if (f.fresh("against", "rate")) curve.ghosts(sizes.map((_, n) => [cut(seen(n)), cut(run(n, j).mean), f.paint(n / (sizes.length - 1))]), 0.9);
    const draw = (name, p) => stage.line(name, ...[0, 1].map((c) => p.map((q) => q[c])));
    now.all.forEach((p, n) => draw(`other of-${n}`, p));
    draw("line", now.all[k]);
    stage.dots("start", [[0, 0]], 5);
    curve.band("band", xs, cut(now.least), cut(now.most));
    curve.line("line", xs, cut(now.mean));
    curve.line("limit", curve.x, [near, near]);
    const n = after(i, j), end = last(i, j), fewest = sizes.reduce((b, _, x) => (quality(x, j) > (quality(b, j) || 0) ? x : b), 0);
    f.say(["who", { size: sizes[i], rate: short(rates[j]) }], ...(Number.isNaN(end) ? [["diverges"]] : [n > 0 ? ["near", { near, steps: n, examples: n * sizes[i] }] : ["never", { near, steps }], ["end", { height: +end.toPrecision(2) }]]),
      ...(need(fewest, j) > 0 ? [[f.value("against"), { size: sizes[fewest] }]] : []));
  };
});
