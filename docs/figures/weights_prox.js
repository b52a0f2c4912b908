"use strict";
/* Chapter 8: what a proximal operator makes of a weight, and the function whose lowest point that is. */
X.figure("weights-prox", (f) => {
  const { places, amounts, ratio: l, formulas } = f.data, kinds = Object.keys(formulas);
  f.chips("kind", { values: kinds });
  f.slider("w", { values: places, start: 38, text: (w) => w.toFixed(1) });
  f.slider("weight", { values: amounts, start: 20, text: (a) => a.toFixed(2) });
  const near = places.flatMap((v, i) => (i ? [v - 0.05, v] : [v])); // twice as many
  const rule = (name) => (w, weight) => X.rules[`${f.value("kind")} ${name}`]({ w, weight, s: 1, l });
  const shrunk = rule("prox"), r = rule("r"), cost = (v, w, a) => r(v, a) + (v - w) ** 2 / 2;
  const picture = f.plot({ x: [-3, 3], y: [-3, 3], title: f.text("after"), across: f.text("before"), label: f.text("picture") });
  const sum = f.plot({ x: [-3, 3], y: [-1, 6], title: f.text("cost"), across: f.text("candidate") }, f.side);
  return () => {
    const w = f.value("w"), a = f.value("weight"), to = shrunk(w, a), kind = f.value("kind"), all = near.map((v) => cost(v, w, a));
    if (f.fresh("kind")) {
      const box = f.side.querySelector(".formula") || X.element("div", { class: "formula" }, f.side);
      f.side.prepend(box);
      box.innerHTML = formulas[kind].join("");
    }
    picture.line("tangent", [-3, 3], [-3, 3]);
    picture.text("same", 2.1, 2.5, f.text("same"), "end");
    picture.line("curve", near, near.map((v) => shrunk(v, a)));
    picture.line("limit", [w, w, -3], [-3, to, to]);
    picture.dots("here", [[w, to]], 6);
    sum.line("curve", near, all);
    sum.dots("start", [[w, cost(w, w, a)]], 5);
    sum.dots("here", [[to, cost(to, w, a)]], 6);
    sum.text("low", to, cost(to, w, a) - 0.85, f.text("lowest"), "middle");
    sum.text("from", w, cost(w, w, a) + 0.4, "w", "middle");
    const edge = kind === "L2" ? 0 : kind === "L1" ? a : a * l, told = { w: w.toFixed(1), to: (to || 0).toFixed(2), weight: a.toFixed(2), edge: edge.toFixed(2), by: (1 + a * (kind === "L1" ? 0 : kind === "L2" ? 1 : 1 - l)).toFixed(2) };
    f.say([a === 0 ? "nothing" : kind === "L2" ? (w ? "divided" : "stays") : Math.abs(w) <= edge ? "zero" : kind === "L1" ? "moved" : "both", told]);
  };
});
