"use strict";
/* Chapter 5: four optimizers on a bowl that is stretched, and turned. */
X.figure("coordinates-rates", (f) => {
  const { rates, stretches, turns, steps, start, numbers, formulas } = f.data, names = Object.keys(numbers), ts = Array.from({ length: steps + 1 }, (_, t) => t);
  const short = (x) => X.number(+x.toPrecision(2));
  f.chips("optimizer", { values: names });
  f.slider("rate", { values: rates, start: 9, text: short, field: "learning_rate", quality: (i) => good(i, f.state.stretch) });
  f.slider("stretch", { values: stretches, start: 6, text: short, quality: (j) => good(f.state.rate, j) });
  f.slider("turn", { values: turns });

  // the bowl (a^2 + k b^2) / 2, where a and b are x and y turned
  const height = (k, c, s, x, y) => ((c * x + s * y) ** 2 + k * (c * y - s * x) ** 2) / 2;
  const angle = () => { const a = (f.value("turn") * Math.PI) / 180; return [Math.cos(a), Math.sin(a)]; };
  function walk(i, j, each) {
    const name = f.value("optimizer"), rule = X.rules[name], k = stretches[j], [c, s] = angle();
    const given = { eta: rates[i], t: 0, g: 0, ...numbers[name] }, [p, q] = [0, 1].map(() => ({ ...given, ...rule.kept(given) }));
    let [x, y] = start;
    for (let t = 1; t <= steps; t++) {
      const a = c * x + s * y, b = k * (c * y - s * x);
      p.t = q.t = t;
      p.g = c * a - s * b;
      q.g = s * a + c * b;
      x += rule.step(p);
      y += rule.step(q);
      if (each) each(x, y);
    }
    return Math.hypot(x, y) / Math.hypot(...start);
  }
  const made = {};
  function left(i, j) {
    const all = (made[`${f.value("optimizer")} ${f.value("turn")}`] ||= []);
    return (all[j * rates.length + i] ??= walk(i, j));
  }
  const good = (i, j) => { const d = left(i, j); return d < 1 ? Math.min(1, Math.max(0.03, Math.log10(d) / -2.5)) : NaN; };

  const stage = f.plot({ x: [-6, 6], y: [-6, 6], title: f.text("y"), across: f.text("x"), label: f.text("stage") });
  const curve = f.plot({ x: [0, steps], y: [1e-3, 10], ylog: true, title: f.text("distance"), across: f.text("steps") });
  const key = X.element("p", { class: "legend" }, f.main);
  for (const name of ["line", "tangent"]) { X.element("i", { class: `stroke ${name}` }, key); X.element("span", {}, key, f.text(name === "line" ? "dx" : "dy")); }
  const map = f.map("rate", "stretch");
  f.legend(f.text("far"), f.text("near"), f.text("away"));

  const now = () => left(f.state.rate, f.state.stretch), wide = () => f.state.stretch >= 6, descent = () => f.value("optimizer") === "sgd";
  f.task("wide", () => descent() && f.state.turn === 0 && f.state.stretch === 6 && now() < 0.18);
  f.task("any", () => !descent() && f.state.turn === 0 && f.state.stretch === stretches.length - 1 && now() < 0.01);
  f.task("turned", () => !descent() && f.state.turn === turns.length - 1 && wide() && now() < 0.01);

  return () => {
    const { rate: i, stretch: j } = f.state, path = [start], name = f.value("optimizer"), d = walk(i, j, (x, y) => path.push([x, y])), [c, s] = angle();
    if (f.fresh("optimizer")) f.formula(formulas[name]);
    if (f.fresh("stretch", "turn")) {
      const k = stretches[j];
      stage.cells(60, 60, (x, y) => f.paint(Math.round(10 - 4 * Math.log10((1 + height(k, c, s, (x - 29.5) / 5, (y - 29.5) / 5)) / k ** 0.5)) / 34));
      stage.dots("start", [start], 5);
      stage.dots("goal", [[0, 0]], 5);
    }
    if (f.fresh("optimizer", "turn")) map.draw(good);
    f.numbers({ learning_rate: rates[i], ...numbers[name] });
    const [xs, ys] = [0, 1].map((n) => path.map((p) => p[n])), away = (all) => all.map(Math.abs), share = (a) => { const q = 100 * Math.abs(a.at ? a.at(-1) / a[0] : a); return q < 0.01 ? f.text("nothing") : `${+q.toPrecision(2)}%`; };
    stage.line("line", xs, ys);
    stage.dots("dot", path, 2.5);
    curve.line("line", ts, away(xs));
    curve.line("tangent", ts, away(ys));
    f.say(["who", { rate: short(rates[i]), stretch: short(stretches[j]), name: f.text(name) }], d < 1 ? ["left", { all: share(d), x: share(xs), y: share(ys), steps }] : ["away"]);
  };
});
