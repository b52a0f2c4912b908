"use strict";
/* Chapter 3: a path over a landscape, the height over steps, all runs as a map. */
X.figure("step-paths", (f) => {
  const { rates, betas, steps, near, lands, formulas } = f.data, ts = Array.from({ length: steps + 1 }, (_, t) => t);
  f.chips("optimizer", { values: ["momentum", "adam"] });
  // a landscape on which the rate is too large is shown with a smaller one
  f.chips("landscape", { values: Object.keys(lands) }).box.addEventListener("change", () => lost(now()) && f.change({ rate: 26 }));
  const who = () => f.value("optimizer"), land = () => f.value("landscape"), now = () => run(f.state.rate, f.state.beta);
  f.slider("rate", { values: rates, start: 54, field: "learning_rate", quality: (i) => good(run(i, f.state.beta)) });
  f.slider("beta", { values: betas, field: "momentum", quality: (j) => good(run(f.state.rate, j)) });
  f.player("step", { values: ts });

  // every run, made once for an optimizer and a landscape by the rule of the docstring
  const numbers = (eta, b) => ({ eta, mu: b, b1: b, b2: 0.999, eps: 1e-8, eps_root: 0 });
  const made = {}, height = (name, [x, y]) => X.rules[name]({ x, y });
  const slope = (name) => ([x, y], h = 1e-5) => [[h, 0], [0, h]].map(([a, b]) => (height(name, [x + a, y + b]) - height(name, [x - a, y - b])) / (2 * h));
  function run(i, j) {
    const all = (made[`${who()} ${land()}`] ||= []), k = j * rates.length + i;
    if (!all[k]) {
      const b = betas[j], path = X.descend(X.rules[who()], numbers(rates[i], b), slope(land()), lands[land()].start, steps);
      const heights = path.map((p) => height(land(), p));
      let last = 0;
      heights.forEach((h, t) => { if (!(h <= near)) last = t + 1; });
      all[k] = { path, heights, end: heights[steps], reached: last > steps ? null : last, out: heights.findIndex((h) => !(h <= heights[0])) };
    }
    return all[k];
  }
  const bowl = () => land() === "ill_conditioned" && who() === "momentum", lost = (r) => !(r.end < r.heights[0]);
  const good = (r) => (lost(r) ? NaN : Math.min(1, Math.max(0.03, Math.log10(r.heights[0] / r.end) / (Math.log10(r.heights[0]) + 5))));

  const stage = f.plot({ x: [0, 1], y: [0, 1], across: f.text("one"), title: f.text("two"), label: f.text("stage") });
  const curve = f.plot({ x: [0, steps], y: [1e-6, 1e3], ylog: true, title: f.text("height"), across: f.text("step") });
  const map = f.map("rate", "beta", f.side);
  f.legend(f.text("high"), f.text("low"), f.text("lost"));
  const fields = {};

  function draw() {
    const { window: [x, y], start, minimum } = lands[land()], n = 90, m = 60;
    Object.assign(stage, { x, y });
    stage.layout(true);
    const at = ([a, b], k, n) => a + (k + 0.5) / n * (b - a);
    const all = (fields[land()] ||= Array.from({ length: n * m }, (_, k) => Math.log10(1e-3 + height(land(), [at(x, k % n, n), at(y, Math.floor(k / n), m)]))));
    const high = Math.max(...all), low = Math.min(...all);
    stage.cells(n, m, (i, j) => f.paint(Math.round(12 * (high - all[j * n + i]) / (high - low)) / 24));
    stage.dots("start", [start], 5);
    stage.dots("goal", [minimum], 5);
  }

  f.task("cliff", () => bowl() && !f.state.beta && !lost(run(f.state.rate, 0)) && lost(run(f.state.rate + 1, 0)));
  f.task("fast", () => bowl() && (now().reached ?? 99) <= 40);
  f.task("valley", () => land() === "rosenbrock" && now().end <= 0.1);

  return () => {
    const r = now(), b = f.value("beta"), rate = f.value("rate"), t = f.state.step;
    if (f.fresh("optimizer", "landscape")) {
      f.formula(formulas[who()]);
      draw();
      map.draw((i, j) => good(run(i, j)));
    }
    if (f.fresh("optimizer", "landscape", "beta")) curve.ghosts(rates.map((_, i) => run(i, f.state.beta)).map((x) => [ts, x.heights, f.paint(good(x))]));
    f.numbers({ learning_rate: rate, momentum: b, ...numbers(rate, b) });
    const past = r.path.slice(0, t + 1), limit = 0.02 * (1 + b);
    stage.line("line", past.map((p) => p[0]), past.map((p) => p[1]));
    stage.dots("dot", past, 2.5);
    stage.dots("here", [r.path[t]], 6);
    curve.line("line", ts, r.heights);
    curve.dots("here", [[t, r.heights[t]]], 5);
    f.say([b || who() === "adam" ? who() : "gd", { rate, beta: b }], lost(r) ? [r.out > 0 && r.out < 4 ? "diverges" : "higher", { step: r.out }] : r.reached === null ? ["above", { height: +r.end.toPrecision(3) }] : ["reaches", { near, step: r.reached }],
      ...(bowl() ? [[rate < limit ? "below" : "over", { limit }]] : []));
  };
});
