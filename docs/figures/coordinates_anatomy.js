"use strict";
/* Chapter 5: what Adam makes of a gradient: each quantity of its formula over the steps. */
X.figure("coordinates-anatomy", (f) => {
  const { gradients, formulas, b1, b2, eps, scales, spike, every } = f.data, kinds = Object.keys(gradients), n = gradients[kinds[0]].length;
  f.chips("gradient", { values: kinds, start: kinds.indexOf("spike") });
  f.chips("correction", { values: ["on", "off"] });
  f.slider("b1", { values: b1, start: b1.indexOf(0.9) });
  f.slider("b2", { values: b2, start: b2.indexOf(0.999) });
  f.slider("eps", { values: eps });
  f.slider("scale", { values: scales, start: scales.indexOf(1) });
  const on = () => f.value("correction") === "on", ts = Array.from({ length: n }, (_, k) => k + 1);

  // the rule of Adam's docstring; an infinite t makes both corrections divisions by 1
  function run() {
    const numbers = { eta: 1, b1: f.value("b1"), b2: f.value("b2"), eps: f.value("eps"), eps_root: 0 };
    const $ = { ...numbers, ...X.rules.adam.kept(numbers) };
    return gradients[f.value("gradient")].map((g, k) => {
      X.rules.adam.step(Object.assign($, { g: g * f.value("scale"), t: on() ? k + 1 : Infinity }));
      return { g: $.g, u: $.u_, m: $.m_, v: $.v_, mh: $.mh_, vh: $.vh_ };
    });
  }
  const plots = ["g", "u", "m", "v", "mh", "vh"].map((key, k) => [key, f.plot({ x: [0, n], y: [0, 1], title: f.text(key), across: k > 3 ? f.text("steps") : "" })]);
  const at = (key) => f.value("gradient") === key, longest = (all) => all.reduce((b, r, k) => (Math.abs(r.u) > Math.abs(all[b].u) + 1e-3 ? k : b), 0);
  f.task("longer", () => { const all = run(); return at("steady") && Math.abs(all[longest(all)].u) > 3; });
  f.task("spike", () => at("spike") && Math.abs(run()[n - 1].u) >= 0.5);
  f.task("shorter", () => at("steady") && on() && Math.abs(run()[n - 1].u) < 0.5);

  return () => {
    const all = run(), short = (x) => +x.toPrecision(2), u = all.map((r) => Math.abs(r.u)), i = longest(all);
    if (f.fresh("correction")) f.formula(formulas[f.value("correction")]);
    f.numbers({ b1: f.value("b1"), b2: f.value("b2"), eps: f.value("eps") });
    for (const [key, plot] of plots) {
      const ys = all.map((r) => r[key]), low = Math.min(0, ...ys), high = Math.max(0, ...ys), room = 0.08 * (high - low) || 1;
      plot.y = key === "u" ? [Math.min(-1.2, low - room), Math.max(0.3, high + room)] : [low < 0 ? low - room : 0, high + room];
      plot.layout(true);
      if (key === "u") { plot.line("limit", [0, n], [-1, -1]); plot.line("limit zero", [0, n], [0, 0]); }
      plot.line("line", ts, ys);
    }
    const mean = (xs) => xs.reduce((a, b) => a + b, 0) / xs.length, g = all.map((r) => r.g), sum = mean(all.map((r) => -r.u)) * n;
    f.say([f.value("gradient"), {
      size: f.value("scale"), times: short(Math.max(...g) / f.value("scale")), first: short(u[0]), longest: short(u[i]), step: i + 1, last: short(u[n - 1]), mean: short(mean(u)), every, spike, spiked: short(u[spike - 1]),
      noise: short(Math.sqrt(mean(g.map((x) => (x - mean(g)) ** 2))) / mean(g)), each: short(sum / g.filter((x) => x).length),
    }]);
  };
});
