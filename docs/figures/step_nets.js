"use strict";
/* Chapter 3: a network for each learning rate and momentum: accuracy, loss, and what it reads. */
X.figure("step-nets", (f) => {
  const { rates, betas, every, steps, rows, labels, pictures, nets } = f.data;
  f.chips("optimizer", { values: Object.keys(nets) });
  const net = () => nets[f.value("optimizer")], share = (i, j) => Math.round(net().right.at(i, j)) / rows;
  const quality = (i, j) => { const a = share(i, j); return Number.isNaN(a) ? a : Math.max(0.03, (a - 0.1) / 0.87) ** 3; };
  f.slider("rate", { values: rates, start: 36, field: "learning_rate", quality: (i) => quality(i, f.state.beta) });
  f.slider("beta", { values: betas, start: 10, field: "momentum", quality: (j) => quality(f.state.rate, j) });
  const map = f.map("rate", "beta", f.main);
  f.legend(`${f.text("read")} 10%`, "97%", f.text("lost"), f.main);
  const looks = Array.from({ length: steps / every }, (_, k) => (k + 1) * every);
  const curve = f.plot({ x: [0, steps], y: [0.05, 10], ylog: true, title: f.text("loss"), across: f.text("steps") }, f.side);
  const losses = (i, j) => looks.map((_, k) => 10 ** net().loss.at(i, j, k));
  const box = X.element("div", { class: "digits" }, f.side), tiles = labels.map((label) => {
    const n = X.element("div", { class: "digit", role: "img" }, box);
    return { n, canvas: X.element("canvas", { width: 8, height: 8 }, n), word: X.element("b", {}, n) };
  });
  function ink() {
    const colour = X.style("--ink");
    tiles.forEach(({ canvas }, d) => {
      const g = canvas.getContext("2d");
      g.clearRect(0, 0, 8, 8);
      g.fillStyle = colour;
      for (let k = 0; k < 64; k++) { g.globalAlpha = pictures.at(d, k) / 16; g.fillRect(k % 8, Math.floor(k / 8), 1, 1); }
    });
  }
  return () => {
    const { rate: i, beta: j } = f.state, a = share(i, j);
    if (f.fresh("optimizer")) { map.draw(quality); ink(); }
    if (f.fresh("optimizer", "beta")) curve.ghosts(rates.map((_, r) => [looks, losses(r, j), f.paint(quality(r, j))]));
    curve.line("line", looks, losses(i, j));
    let right = 0;
    tiles.forEach(({ n, word }, d) => {
      const says = Math.round(net().says.at(i, j, d)), ok = says === labels[d];
      right += ok;
      n.classList.toggle("wrong", !ok);
      word.textContent = Number.isNaN(says) ? "\u2013" : says;
      n.setAttribute("aria-label", f.text("digit").replace("{label}", labels[d]).replace("{says}", word.textContent));
    });
    const who = [f.value("optimizer"), { rate: rates[i], beta: betas[j] }];
    if (Number.isNaN(a)) return f.say(who, ["diverges"]);
    f.say(who, ["reads", { percent: `${(100 * a).toFixed(1)}%`, right, of: labels.length }], ...(f.value("optimizer") === "momentum" ? [["effective", { ratio: +(rates[i] / (1 - betas[j])).toPrecision(3) }]] : []));
  };
});
