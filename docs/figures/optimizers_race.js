"use strict";
/* Chapter 11: every optimizer at every learning rate, and the best that k random rates find. */
X.figure("optimizers-race", (f) => {
  const { rates, names, rows, close, right, ticks, formulas, numbers } = f.data, n = rates.length, seeds = right.shape[2];
  const range = (m) => [...Array(m).keys()], budgets = range(n + 1).slice(1), mid = (x) => x.reduce((a, b) => a + b) / seeds;
  const percent = (x) => `${(100 * x).toFixed(1)}%`, error = (x) => Math.max(0.02, 1 - x), log = { xlog: true, ylog: true };
  const side = (all, pick) => all.map((x) => error(pick(...x)));

  // of each optimizer: its scores, and what is expected of the best of k rates, by seed
  const all = names.map((_, o) => {
    const each = rates.map((_, i) => range(seeds).map((s) => Math.round(right.at(o, i, s) || 0) / rows));
    const mean = each.map(mid), top = Math.max(...mean), sorted = range(n).sort((a, b) => mean[a] - mean[b]);
    const best = budgets.map((k) => {
      let sums = range(seeds).fill(0), chance = k / n;
      for (let i = n; i >= k; chance *= (i - k) / (i - 1 || 1), i--) sums = sums.map((x, s) => x + chance * each[sorted[i - 1]][s]);
      return sums;
    });
    return { each, mean, best, own: best.map(mid), near: mean.map((x) => x > top - close) };
  });
  const adam = all[names.indexOf("adam")], nears = (i) => all.filter((x) => x.near[i]).length;
  const place = (o, k) => 1 + all.filter((x) => x.own[k] > all[o].own[k]).length, enough = (x, a) => x.own.findIndex((b) => b >= a);
  const lead = (score) => all.reduce((a, x) => (score(x) > score(a) ? x : a)), called = (x) => f.text(names[all.indexOf(x)]);

  const { box } = f.chips("optimizer", { values: names }), y = [1, 0.02];
  box.classList.add("panels");
  const panels = [...box.querySelectorAll("label")].map((label) => {
    const rank = X.element("b", {}, label), p = f.plot({ x: [rates[0], rates[n - 1]], y, ...log, inner: true }, label);
    p.svg.setAttribute("aria-hidden", true);
    return { p, rank, now: X.element("small", {}, label) };
  });
  f.slider("rate", { values: rates, start: 40, field: "learning_rate", quality: (i) => nears(i) / names.length });
  f.slider("budget", { values: budgets, start: 3, quality: (k) => 1 - (place(f.state.optimizer, k) - 1) / names.length });
  const curve = f.plot({ x: [1, n], y: [0.6, 0.025], ...log, yticks: ticks, title: f.text("expected"), across: f.text("rates") });

  f.task("near", () => nears(f.state.rate) > 12);
  f.task("lion", () => f.value("optimizer") === "lion" && place(f.state.optimizer, f.state.budget) <= 3);
  f.task("tries", () => f.value("optimizer") === "sgd" && f.state.budget === enough(all[0], adam.own[3]));

  return () => {
    const { optimizer: o, rate: i, budget: k } = f.state, mine = all[o], own = mine.own[k];
    panels.forEach(({ p, now, rank }, q) => {
      const { each, mean, near } = all[q];
      if (f.fresh()) {
        p.band("band", rates, side(each, Math.min), side(each, Math.max));
        p.line("curve", rates, mean.map(error));
        p.dots("near", rates.filter((_, r) => near[r]).map((r) => [r, 0.96]), 1.2);
      }
      if (f.fresh("budget")) rank.textContent = `#${place(q, k)}`;
      if (!f.fresh("rate")) return;
      p.line("limit", [rates[i], rates[i]], y);
      p.dots("here", [[rates[i], error(mean[i])]], 3.5);
      now.textContent = percent(mean[i]);
    });
    if (f.fresh("optimizer")) {
      f.formula(formulas[names[o]]);
      curve.ghosts(all.map((x) => [budgets, x.own.map(error), X.style("--dim")]), 0.5);
      curve.line("tangent", budgets, adam.own.map(error));
      curve.text("name", 1.08, error(adam.own[0]) * 0.84, "adam");
      curve.band("band", budgets, side(mine.best, Math.min), side(mine.best, Math.max));
      curve.line("line", budgets, mine.own.map(error));
    }
    f.numbers({ learning_rate: rates[i], ...numbers[names[o]] });
    curve.line("limit", [k + 1, k + 1], curve.y);
    curve.dots("here", [[k + 1, error(own)]], 6);
    const best = lead((x) => x.mean[i]), first = lead((x) => x.own[k]), tries = enough(adam, own);
    f.say(["rate", { rate: rates[i], best: called(best), percent: percent(best.mean[i]), close: nears(i), of: names.length }],
      ["budget", { k: k + 1, first: called(first), score: percent(first.own[k]), name: called(mine), place: place(o, k), own: percent(own) }], ...(mine === adam ? [] : [[tries < 0 ? "never" : "adam", { n: tries + 1, most: n }]]));
  };
});
