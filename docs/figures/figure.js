"use strict";
/* Figures of the site. A figure is a state (a position for each control), what is drawn of it, and
   sentences that say it. X.figure(name, build): build(f) makes the controls and gives what draws. */

/** Packed arrays, wherever they stand in what a figure is given, as arrays. */
X.unpack = async (x) => {
  if (x === null || typeof x !== "object") return x;
  if (typeof x.data === "string" && x.shape) return X.decode(x);
  const pairs = await Promise.all(Object.entries(x).map(async ([k, v]) => [k, await X.unpack(v)]));
  return Array.isArray(x) ? pairs.map(([, v]) => v) : Object.fromEntries(pairs);
};

/** The points of an optimizer's path by the rule of its docstring: [[x, y], ...], the start first. */
X.descend = (rule, numbers, gradient, start, steps) => {
  const each = start.map(() => ({ ...numbers, ...rule.kept(numbers) })), path = [start];
  for (let t = 1; t <= steps; t++) {
    const p = path[t - 1], g = gradient(p);
    path.push(p.map((x, i) => x + rule.step(Object.assign(each[i], { t, g: g[i], p: x }))));
  }
  return path;
};

X.figure = async (name, build) => {
  const root = document.getElementById(name), N = X.number;
  if (!root) return;
  const strings = {};
  for (const dt of root.querySelectorAll(".strings dt")) strings[dt.firstChild.textContent.trim()] = dt.nextElementSibling.firstElementChild.innerHTML;
  const stage = root.querySelector(".stage"), says = root.querySelector(".says");
  const [bar, controls, main, side] = ["bar", "controls", "main", "side"].map((c) => X.element("div", { class: `figure-${c}` }, stage));
  const made = {}, tracks = [], tasks = [], plots = [], stops = [];
  let last = {}, paint, touched = false, width = 0, timer, waits;
  const escape = (x) => String(x).replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);

  const f = {
    root, bar, main, side, controls, state: {}, data: await X.unpack(JSON.parse(root.querySelector("script.data").textContent)),
    paint: (q) => paint(q),
    text: (key) => strings[key] ?? key,
    value: (control) => made[control].values[f.state[control]],
    /** Whether one of these controls has moved since the last drawing, or the size or theme has changed. */
    fresh: (...names) => !last.drawn || names.some((n) => last[n] !== f.state[n]),
    change(to) { touched = true; Object.assign(f.state, to); draw(); },

    /** quality(i): 0 to 1, or NaN, of each of its positions: drawn on its track. field: the symbol it lights. */
    slider(control, { values, start = 0, text = N, quality, field, parent = controls }) {
      const c = X.slider(parent, { name: f.text(control), count: values.length, text: (i) => text(values[i]), onInput: (i) => f.change({ [control]: i }) });
      made[control] = { ...c, values };
      f.state[control] = start;
      if (quality) tracks.push([c, quality]); else c.box.classList.add("plain");
      for (const event of ["focusin", "pointerenter"]) c.box.addEventListener(event, () => light(field || control));
      return c;
    },
    /** A slider of steps with a button that plays them. */
    player(control, { values, start = values.length - 1, parent = controls }) {
      const row = X.element("div", { class: "player" }, parent);
      const button = X.element("button", { type: "button" }, row), c = f.slider(control, { values, start, parent: row });
      const show = (on) => { button.textContent = on ? "\u275a\u275a" : "\u25b6"; button.setAttribute("aria-label", f.text(on ? "pause" : "play")); };
      const stop = () => { cancelAnimationFrame(timer); timer = null; show(false); };
      button.addEventListener("click", () => {
        if (timer) return stop();
        const end = values.length - 1, from = f.state[control] >= end ? 0 : f.state[control], began = performance.now();
        const go = (now) => {
          const t = Math.min(end, from + Math.floor((now - began) / Math.min(45, 5000 / end)));
          f.change({ [control]: t });
          if (t < end) timer = requestAnimationFrame(go); else stop();
        };
        timer = requestAnimationFrame(go);
        show(true);
      });
      c.input.addEventListener("input", stop);
      stops.push(stop);
      show(false);
      return c;
    },
    chips(control, { values, start = 0, parent = bar }) {
      const c = X.chips(parent, { name: f.text(control), count: values.length, text: (i) => f.text(values[i]), onInput: (i) => f.change({ [control]: i }) });
      made[control] = { ...c, values };
      f.state[control] = start;
      return c;
    },
    /** A map over two controls; draw it by .draw(quality) where what it shows has changed. */
    map(across, up, parent = side) {
      const m = X.map(parent, { xs: made[across].values, ys: made[up].values, across: f.text(across), up: f.text(up), label: f.text("map"), onPick: (i, j) => f.change({ [across]: i, [up]: j }) });
      plots.push(() => m.set(f.state[across], f.state[up]));
      return { ...m, draw: (quality) => m.draw(quality, paint) };
    },
    plot(options, parent = main) {
      const p = X.plot(parent, options);
      plots.push(() => p.layout());
      return p;
    },
    /** A legend for the colours: from bad to good, and what has no number. */
    legend(bad, good, missing, parent = side) {
      const p = X.element("p", { class: "legend" }, parent);
      X.element("span", {}, p, bad); X.element("i", { class: "ramp" }, p); X.element("span", {}, p, good);
      if (!missing) return;
      const pair = X.element("span", { class: "pair" }, p);
      X.element("i", { class: "missing" }, pair);
      pair.append(missing);
    },
    /** The formula, and the same with the numbers of the sliders: what `shown` of figures/formulas.py gave. */
    formula({ lines, filled }, parent = side) {
      const box = parent.querySelector(".formula") || X.element("div", { class: "formula" }, parent);
      parent.prepend(box);
      box.innerHTML = `${lines.join("")}<small>${f.text("numbers")}</small>${filled.join("")}`;
    },
    numbers(values) {
      for (const [field, x] of Object.entries(values)) root.querySelectorAll(`[data-value="${field}"]`).forEach((n) => { n.textContent = N(x); });
    },
    /** Puts sentences together: [key, {name: value}], ... */
    say: (...parts) => { says.innerHTML = parts.map(([key, values = {}]) => f.text(`says ${key}`).replace(/\{(\w+)\}/g, (_, k) => `<b>${escape(typeof values[k] === "number" ? N(values[k]) : values[k])}</b>`)).join(" "); },
    /** A task is ticked where holds() is true. */
    task: (key, holds) => tasks.push([key, holds]),
  };

  const light = (field) => root.querySelectorAll("[data-field]").forEach((n) => n.classList.toggle("lit", n.dataset.field === field));

  // ---- the address: #name;control=value;...
  const plain = (x) => { try { return decodeURIComponent(x); } catch { return ""; } };
  function follow() {
    const [where, ...pairs] = location.hash.slice(1).split(";");
    if (where !== name) return false;
    for (const pair of pairs) {
      const [k, v] = pair.split("=").map(plain);
      if (!Object.hasOwn(made, k)) continue;
      const { values } = made[k];
      const far = (x) => (typeof x !== "number" ? (x === v ? 0 : Infinity) : values.every((y) => y > 0) ? Math.abs(Math.log(x / +v)) : Math.abs(x - +v));
      const i = values.reduce((best, x, j) => (far(x) < far(values[best]) ? j : best), 0);
      if (Number.isFinite(far(values[i]))) f.state[k] = i;
    }
    return true;
  }
  const place = () => [name, ...Object.entries(made).map(([k, c]) => `${k}=${encodeURIComponent(typeof c.values[f.state[k]] === "number" ? +c.values[f.state[k]].toPrecision(6) : c.values[f.state[k]])}`)].join(";");

  const render = build(f), start = { ...f.state };
  const draw = X.once(() => {
    if (!root.clientWidth) return;
    if (root.clientWidth !== width) { width = root.clientWidth; last = {}; }
    paint ||= X.palette();
    plots.forEach((p) => p());
    for (const [k, c] of Object.entries(made)) c.set(f.state[k]);
    for (const [c, quality] of tracks) c.draw(quality, paint);
    render();
    for (const [key, holds] of tasks) {
      const item = document.getElementById(`${name}-task-${key}`);
      if (!item.classList.contains("done") && holds()) { item.classList.add("done"); X.element("span", { class: "unseen" }, item, " \u2713"); }
    }
    last = { ...f.state, drawn: true };
    if (touched) { clearTimeout(waits); waits = setTimeout(() => history.replaceState(null, "", `#${place()}`), 300); }
    root.dataset.drawn = "all";
  });
  const all = () => { paint = null; last = {}; draw(); };
  addEventListener("resize", draw);
  addEventListener("hashchange", () => {
    if (location.hash.slice(1).split(";")[0] !== name) return;
    cancelAnimationFrame(timer);
    stops.forEach((stop) => stop());
    Object.assign(f.state, start);
    follow();
    touched = false;
    draw();
    const { top, bottom } = says.getBoundingClientRect();
    if (top < 0 || bottom > innerHeight) says.scrollIntoView({ block: "end" });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  new MutationObserver(all).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
  const drawn = () => [...document.querySelectorAll(".explorable")].every((x) => x.dataset.drawn);
  const scroll = () => (drawn() ? root.scrollIntoView() : requestAnimationFrame(scroll));
  if (follow()) scroll();
  draw();
};
