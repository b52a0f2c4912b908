"use strict";
/* Chapter 15: the templates of a private training drown in noise; accuracy over epsilon. */
X.figure("secrets-noise", (f) => {
  const { noises, clips, levels, rows, epsilons, quiet, w, right } = f.data, seeds = right.shape[2];
  const share = (i, j) => Array.from({ length: seeds }, (_, s) => Math.round(right.at(i, j, s)) / rows);
  const mean = (x) => x.reduce((a, b) => a + b) / x.length, short = (x) => X.number(+x.toPrecision(2));
  const quality = (i, j) => Math.max(0.03, (mean(share(i, j)) - 0.1) / 0.87) ** 2;
  f.slider("noise", { values: noises, start: 8, text: short, field: "noise_multiplier", quality: (i) => quality(i, f.state.clip) });
  f.slider("clip", { values: clips, start: 5, text: short, field: "max_norm", quality: (j) => quality(f.state.noise, j) });
  const box = X.element("div", { class: "digits templates" }, f.main), tiles = Array.from({ length: 10 }, (_, d) => {
    const n = X.element("div", { class: "digit", role: "img", "aria-label": f.text("template").replace("{digit}", d) }, box), canvas = X.element("canvas", { width: 8, height: 8 }, n);
    X.element("b", {}, n, d);
    return canvas;
  });
  const price = f.plot({ x: [0.25, 600], xlog: true, y: [0.2, 1], title: f.text("accuracy"), across: f.text("epsilon") }, f.main);
  const map = f.map("noise", "clip", f.side);
  f.legend(`${f.text("read")}: 10%`, "96%");
  function ink(i, j) {
    const colours = [X.style("--good"), X.style("--mark")];
    tiles.forEach((canvas, d) => {
      const g = canvas.getContext("2d");
      g.clearRect(0, 0, 8, 8);
      for (let p = 0; p < 64; p++) {
        const code = Math.round(w.at(i, j, d, p));
        g.fillStyle = colours[+(code < 0)];
        g.globalAlpha = Math.abs(code) / levels;
        g.fillRect(p % 8, Math.floor(p / 8), 1, 1);
      }
    });
  }
  f.task("three", () => epsilons[f.state.noise] < 3.1 && mean(share(f.state.noise, f.state.clip)) > 0.9);
  f.task("drowned", () => mean(share(f.state.noise, f.state.clip)) < 0.5);
  return () => {
    const { noise: i, clip: j } = f.state, now = share(i, j), percent = (x) => `${(100 * x).toFixed(1)}%`;
    if (f.fresh()) { map.draw(quality); price.text("quiet", 550, 0.26, f.text("quiet"), "end"); }
    if (f.fresh("clip")) {
      price.ghosts(clips.map((_, k) => [epsilons, epsilons.map((_, e) => mean(share(e, k))), X.style("--ink")]), 0.25);
      const all = epsilons.map((_, e) => share(e, j));
      price.band("band", epsilons, all.map((x) => Math.min(...x)), all.map((x) => Math.max(...x)));
      price.line("line", epsilons, all.map(mean));
      price.line("limit", [0.25, 600], [quiet[j], quiet[j]]);
      
    }
    ink(i, j);
    price.dots("here", [[epsilons[i], mean(now)]], 5);
    f.say(["spends", { noise: short(noises[i]), clip: short(clips[j]), epsilon: epsilons[i] }],
      ["reads", { mean: percent(mean(now)), low: percent(Math.min(...now)), high: percent(Math.max(...now)), quiet: percent(quiet[j]) }]);
  };
});
