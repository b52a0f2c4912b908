"use strict";
/* Chapter 12: finished trainings as a landscape, where samplers look in it, and what halving keeps. */
X.figure("search-trials", (f) => {
  const { rates, weights, steps, eta, firsts, looks, begun, lowest, loss, early, cells, grids, found, halved, work, equal, window } = f.data;
  const rows = weights.length, range = (m) => [...Array(m).keys()], end = (c) => 10 ** loss.at(c);
  const good = (x) => Math.max(0, Math.log(2.4 / x) / Math.log(2.4 / lowest)) ** 1.5;
  const point = (c) => [rates[Math.floor(c / rows)], weights[c % rows]], d3 = (x) => x.toFixed(3), some = begun.indexOf(42);

  f.chips("sampler", { values: ["grid", "random", "sobol", "tpe", "halving"], start: 3 });
  const who = () => f.value("sampler"), place = () => f.state.trials, n = () => f.value("trials"), halving = () => who() === "halving", grid = () => who() === "grid";
  const among = (b, r) => range(3).map((q) => 10 ** halved.at(b, r, q)), bands = () => (halving() ? begun.map((_, b) => among(b, f.state.first)) : found[who()]);
  f.slider("trials", { values: begun, start: some, quality: (b) => good(bands()[b][1]) });
  const again = f.slider("draw", { values: range(cells.tpe.shape[0]).map((d) => d + 1) });
  const late = f.slider("first", { values: firsts, start: 3, quality: (r) => good(among(place(), r)[1]) });

  // the trials, and those of them that halving leaves after each rung
  const axis = () => grids[Math.floor(n() ** 0.5)];
  const tried = () => (grid() ? axis().flatMap((i) => axis().map((j) => i * rows + j)) : range(n()).map((k) => Math.round(cells[halving() ? "random" : who()].at(f.state.draw, k))));
  function stages() {
    const all = [tried()];
    for (let s = halving() ? f.value("first") : steps, i = 0; s < steps; s *= eta) {
      const at = (c) => early.at(looks.indexOf(s), c);
      all.push([...all[i]].sort((a, b) => at(a) - at(b)).slice(0, Math.max(1, n() / eta ** ++i)));
    }
    return all;
  }

  const log = { xlog: true, ylog: true }, stage = f.plot({ ...window, ...log, across: f.text("rate"), title: f.text("weight"), label: f.text("landscape") });
  f.legend(`${f.text("loss")} 2.4`, d3(lowest), "", f.main);
  const plot = (x, title, across) => f.plot({ x: [1, x], y: [0.095, 0.5], ...log, yticks: [[0.1, 0.1], [0.2, 0.2], [0.5, "\u2265 0.5"]], title: f.text(title), across: f.text(across) }, f.side);
  const curve = plot(begun.at(-1), "best", "trials"), rung = plot(firsts.at(-1), "rung", "first");
  const draw = (p, xs, band, dashed, i) => {
    const cap = (x) => Math.min(0.5, x), [low, mid, high] = range(3).map((q) => band.map((x) => cap(x[q])));
    p.band("band", xs, low, high);
    p.line("line", xs, mid);
    p.line("tangent", xs, dashed.map(cap));
    p.dots("here", xs.slice(i, i + 1).map((x) => [x, mid[i]]), 5);
  };

  const random = found.random.map((x) => x[1]), less = (b) => found.grid.findIndex((x, a) => a < b && x[1] < found.grid[b][1]);
  f.task("luck", () => grid() && less(place()) >= 0);
  f.task("tpe", () => who() === "tpe" && place() === found.tpe.findIndex((x) => x[1] <= random.at(-1)));
  f.task("rung", () => halving() && work[place()][f.state.first] <= 10 && bands()[place()][1] <= random[some]);

  return () => {
    const { trials: b, first: r } = f.state, all = stages(), band = bands();
    const best = all.at(-1).reduce((a, c) => (end(c) < end(a) ? c : a)), a = less(b);
    for (const [c, off] of [[again, grid()], [late, !halving()]]) c.box.classList.toggle("off", off);
    if (f.fresh()) stage.cells(rows, rows, (i, j) => f.paint(good(end(i * rows + j))));
    range(6).forEach((k) => stage.dots(`tried r${k}`, (all[k] || []).map(point), 2.5 + k));
    stage.dots("here", [point(best)], 6);
    stage.mark("path", "rug").setAttribute("d", all[0].map(point).map(([x, y]) => `M${stage.sx(x)} ${stage.sy(window.y[0])}v-7M${stage.sx(window.x[0])} ${stage.sy(y)}h7`).join(""));
    draw(curve, begun, band, random, b);
    draw(rung, firsts, firsts.map((_, k) => among(b, k)), equal[b], halving() ? r : NaN);
    const told = { n: n(), m: axis().length, best: d3(end(best)), median: d3(band[b][1]), random: d3(random[b]), first: firsts[r], left: all[1]?.length, work: work[b][r], equal: d3(equal[b][r]) };
    f.say([who(), told], ...(grid() && a >= 0 ? [["luck", { fewer: begun[a], better: d3(found.grid[a][1]) }]] : []));
  };
});
