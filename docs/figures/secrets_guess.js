"use strict";
/* Chapter 15: a noisy sum without one record and with it: what can be guessed from the result. */
X.figure("secrets-guess", (f) => {
  const { noises, right, epsilons } = f.data, xs = Array.from({ length: 241 }, (_, i) => -5.5 + i / 20);
  f.slider("noise", { values: noises, start: 10, text: (s) => s.toFixed(2), field: "noise", quality: (i) => Math.max(0.03, 2 - 2 * right[i]) });
  const picture = f.plot({ x: [-5.5, 6.5], y: [0, 1], yticks: [], title: f.text("density"), across: f.text("result"), label: f.text("picture") });
  const share = f.plot({ x: [noises[0], noises[30]], xlog: true, xticks: [0.25, 0.5, 1, 2, 4, 8].map((v) => [v, v]), y: [0.5, 1], title: f.text("right"), across: f.text("noise") }, f.side);
  const bell = (x, at, s) => Math.exp(-(((x - at) / s) ** 2) / 2) / s;
  return () => {
    const i = f.state.noise, s = noises[i], top = Math.max(0.25, 1 / s);
    picture.y = [0, 1.15 * top];
    picture.layout(true);
    picture.band("band train", xs, xs.map(() => 0), xs.map((x) => bell(x, 0, s)));
    picture.band("band", xs, xs.map(() => 0), xs.map((x) => bell(x, 1, s)));
    picture.line("curve", xs, xs.map((x) => bell(x, 0, s)));
    picture.line("line", xs, xs.map((x) => bell(x, 1, s)));
    picture.text("of train", -1.2, top * 1.02, f.text("without"), "end");
    picture.text("of validation", 2.2, top * 1.02, f.text("with"));
    share.line("line", noises, right);
    share.dots("here", [[s, right[i]]], 5);
    f.say(["guess", { noise: s.toFixed(2), right: `${(100 * right[i]).toFixed(0)}%`, epsilon: epsilons[i] }]);
  };
});
