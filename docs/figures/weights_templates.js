"use strict";
/* Chapter 8: the ten templates of softmax regression under a penalty, and what they read. */
X.figure("weights-templates", (f) => {
  const { kinds, amounts, levels, w, weights, zeros, rows, right } = f.data, splits = right.train.shape[0];
  f.chips("kind", { values: kinds });
  const share = (part, i, k) => Array.from({ length: splits }, (_, s) => Math.round(right[part].at(s, i, k)) / rows[part]);
  const mean = (x) => x.reduce((a, b) => a + b) / x.length, gone = (i, k) => Math.round(zeros.at(i, k));
  const quality = (i, k) => Math.max(0.03, (mean(share("validation", i, k)) - 0.1) / 0.88) ** 3;
  f.slider("weight", { values: amounts, start: 30, text: (a) => X.number(+a.toPrecision(2)), field: "weight", quality: (i) => quality(i, f.state.kind) });

  const box = X.element("div", { class: "digits templates" }, f.main), tiles = Array.from({ length: 10 }, (_, d) => {
    const n = X.element("div", { class: "digit", role: "img" }, box), canvas = X.element("canvas", { width: 8, height: 8 }, n);
    X.element("b", {}, n, d);
    return { n, canvas };
  });
  const key = X.element("p", { class: "legend" }, f.main);
  for (const name of ["plus", "minus", "zero"]) { const pair = X.element("span", { class: "pair" }, key); X.element("i", { class: `swatch ${name}` }, pair); pair.append(f.text(name)); }
  const read = f.plot({ x: [amounts[0], amounts[80]], xlog: true, y: [0.5, 1], title: f.text("read"), across: f.text("weight") }, f.side);
  const count = f.plot({ x: [amounts[0], amounts[80]], xlog: true, y: [0, weights], title: f.text("count"), across: f.text("weight") }, f.side);

  function ink(i, k) {
    const colours = [X.style("--good"), X.style("--mark")];
    tiles.forEach(({ n, canvas }, d) => {
      const g = canvas.getContext("2d");
      let kept = 0;
      g.clearRect(0, 0, 8, 8);
      for (let p = 0; p < 64; p++) {
        const code = Math.round(w.at(i, k, d, p));
        if (!code) continue;
        kept += 1;
        g.fillStyle = colours[+(code < 0)];
        g.globalAlpha = 0.12 + 0.88 * Math.min(1, (1.3 * Math.abs(code)) / levels) ** 0.8;
        g.fillRect(p % 8, Math.floor(p / 8), 1, 1);
      }
      n.setAttribute("aria-label", f.text("template").replace("{digit}", d).replace("{kept}", kept));
    });
  }
  const L1 = kinds.indexOf("L1"), first = amounts.findIndex((_, i) => gone(i, L1) === weights);
  f.task("half", () => f.state.kind === L1 && gone(f.state.weight, L1) >= 400 && mean(share("validation", f.state.weight, L1)) > 0.95);
  f.task("none", () => f.state.kind === L1 && f.state.weight === first);

  return () => {
    const { weight: i, kind: k } = f.state, a = amounts[i], percent = (x) => `${(100 * x).toFixed(1)}%`;
    if (f.fresh("kind")) {
      for (const [part, suffix] of [["train", " train"], ["validation", ""]]) {
        const all = amounts.map((_, j) => share(part, j, k));
        read.band(`band${suffix}`, amounts, all.map((x) => Math.min(...x)), all.map((x) => Math.max(...x)));
        read.line(suffix ? "curve" : "line", amounts, all.map(mean));
      }
      count.line("line", amounts, amounts.map((_, j) => gone(j, k)));
      read.text("of train", 1.3e-4, 0.9, f.text("train"));
      read.text("of validation", 1.3e-4, 0.84, f.text("validation"));
    }
    ink(i, k);
    const valid = share("validation", i, k), now = mean(valid);
    read.dots("goal", [[a, mean(share("train", i, k))]], 4);
    read.dots("here", [[a, now]], 5);
    count.dots("here", [[a, gone(i, k)]], 5);
    f.say([`of ${kinds[k]}`, { weight: +a.toPrecision(2) }], ["zeros", { zeros: gone(i, k), weights }],
      ["read", { train: percent(mean(share("train", i, k))), validation: percent(now), low: percent(Math.min(...valid)), high: percent(Math.max(...valid)) }]);
  };
});
