"use strict";
/* The runtime of an explorable: arrays, sliders whose tracks show where their positions end, plots,
   maps. Nothing is computed that could be looked up, and nothing comes from elsewhere. */

const X = (() => {
  // ---------------------------------------------------------------------------------- arrays

  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** What `packing.pack` wrote: at(i, j, ...) is a number, NaN where there was none. */
  async function decode({ shape, bits, axes, low, high, data }) {
    const raw = await inflate(data), n = shape.reduce((a, b) => a * b, 1), top = 2 ** bits - 1;
    const codes = bits === 16 ? new Uint16Array(n) : new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      const d = bits === 16 ? raw[i] | (raw[n + i] << 8) : raw[i];
      codes[i] = d & 1 ? top - (d >> 1) : d >> 1;
    }
    const strides = shape.map((_, a) => shape.slice(a + 1).reduce((x, y) => x * y, 1));
    for (const a of [...axes].reverse())
      for (let i = 0; i < n; i++)
        if (Math.floor(i / strides[a]) % shape[a]) codes[i] += codes[i - strides[a]];
    const value = (c) => (c === top ? NaN : low + (c / (top - 1)) * (high - low));
    return { shape, at: (...index) => value(codes[index.reduce((s, x, k) => s + x * strides[k], 0)]) };
  }

  // --------------------------------------------------------------------------------- drawing

  const style = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  /** The colour of an outcome from 0, the worst, to 1, the best: mixed by the browser in OKLab. */
  const colour = (q) => `color-mix(in oklab, var(--good) ${Math.round(100 * q)}%, var(--bad))`;

  /** 101 colours as the browser paints them, since a canvas knows no variables. */
  function palette() {
    const probe = document.body.appendChild(document.createElement("i"));
    const found = Array.from({ length: 101 }, (_, i) => {
      probe.style.color = colour(i / 100);
      return getComputedStyle(probe).color;
    });
    probe.remove();
    return (q) => (Number.isNaN(q) ? style("--missing") : found[Math.round(100 * Math.min(1, Math.max(0, q)))]);
  }

  /** A canvas in the size of its box: [context, width, height] in CSS pixels. */
  function fit(canvas) {
    const box = canvas.getBoundingClientRect(), scale = Math.min(2, devicePixelRatio || 1);
    const w = Math.max(1, Math.round(box.width)), h = Math.max(1, Math.round(box.height));
    if (canvas.width !== w * scale || canvas.height !== h * scale) [canvas.width, canvas.height] = [w * scale, h * scale];
    const g = canvas.getContext("2d");
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, w, h);
    return [g, w, h];
  }

  function svg(tag, attributes, parent) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    if (parent) parent.append(node);
    return node;
  }

  function element(tag, attributes, parent, text) {
    const node = document.createElement(tag);
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  // -------------------------------------------------------------------------------- controls

  let made = 0; // controls, for ids of their own

  /** A native range whose track shows what becomes of each of its positions. */
  function slider(root, { name, count, text, onInput }) {
    const id = `slider-${(made += 1)}`, box = element("div", { class: "slider" }, root);
    const label = element("label", { for: id }, box);
    element("span", {}, label, name);
    const output = element("output", { for: id }, label);
    const track = element("div", { class: "track" }, box);
    const canvas = element("canvas", { "aria-hidden": "true" }, track);
    const input = element("input", { type: "range", id, name, min: 0, max: count - 1, step: 1 }, track);
    input.addEventListener("input", () => onInput(+input.value));
    const half = 9; // of the thumb
    const pick = (e) => {
      const b = canvas.getBoundingClientRect(), x = (e.clientX - b.left - half) / (b.width - 2 * half);
      onInput(Math.max(0, Math.min(count - 1, Math.round(x * (count - 1)))));
    };
    canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); pick(e); });
    canvas.addEventListener("pointermove", (e) => e.buttons && pick(e));
    return {
      box, input,
      set(i) {
        input.value = i;
        output.textContent = text(i);
        input.setAttribute("aria-valuetext", text(i));
      },
      /** height(i) in [0, 1], or NaN where it diverged. */
      draw(height, paint) {
        const [g, w, h] = fit(canvas), step = (w - 2 * half) / Math.max(1, count - 1);
        for (let i = 0; i < count; i++) {
          const q = height(i), top = Number.isNaN(q) ? 2 : Math.max(3, q * h), x = half + (i - 0.5) * step;
          g.fillStyle = paint(q);
          g.fillRect(Math.max(0, x), h - top, Math.min(w - x, step + 0.4), top);
        }
      },
    };
  }

  /** Radio buttons for what is no number. */
  function chips(root, { name, count, text, onInput }) {
    const box = element("fieldset", { class: "chips" }, root), group = `chips-${(made += 1)}`;
    element("legend", {}, box, name);
    const inputs = Array.from({ length: count }, (_, i) => {
      const label = element("label", {}, box);
      const input = element("input", { type: "radio", name: group }, label);
      element("span", {}, label, text(i));
      input.addEventListener("change", () => onInput(i));
      return input;
    });
    return { box, set: (i) => (inputs[i].checked = true), draw() {} };
  }

  // ------------------------------------------------------------------------------------ plots

  /** Ticks between two ends: 1, 2 or 5 times a power of ten apart, or powers of ten. */
  function ticks(low, high, log, most = 5) {
    if (log) {
      const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
      const by = Math.max(1, Math.ceil((last - first) / most));
      return Array.from({ length: Math.max(0, Math.floor((last - first) / by) + 1) }, (_, k) => 10 ** (first + k * by));
    }
    const rough = (high - low) / most, unit = 10 ** Math.floor(Math.log10(rough)), by = [1, 2, 5, 10].find((k) => k * unit >= rough) * unit;
    const found = [];
    for (let k = Math.ceil(low / by - 1e-9); k * by <= high + 1e-9 * by; k++) found.push(+(k * by).toPrecision(12));
    return found;
  }

  /** Axes with ticks: a canvas for what has many pixels, SVG for what has an identity.
      x, y: [low, high]; xlog, ylog: by powers of ten; xticks, yticks: [[value, text], ...] of one's own. */
  function plot(root, { x, y, xlog, ylog, xticks, yticks, across = "", title = "", label = "", inner = false }) {
    const box = element("div", { class: "plot" }, root);
    const canvas = element("canvas", { "aria-hidden": "true" }, box);
    const picture = svg("svg", { role: "img", "aria-label": label || title || across }, box);
    const m = inner ? { l: 0, r: 0, t: 0, b: 0 } : { l: 52, r: 12, t: title ? 24 : 10, b: across ? 40 : 24 };
    const clip = svg("rect", {}, svg("clipPath", { id: `clip-${(made += 1)}` }, picture)), inside = svg("g", { "clip-path": `url(#clip-${made})` });
    const marks = {}, scale = (v, [low, high], log) => (log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low || 1));
    let width = 0, height = 0;
    const self = {
      box, svg: picture, x, y,
      sx: (v) => m.l + scale(v, self.x, xlog) * (width - m.l - m.r),
      sy: (v) => height - m.b - scale(v, self.y, ylog) * (height - m.t - m.b),
      /** Draws the axes where the box has another size; true where it has. */
      layout(again) {
        const { width: w, height: h } = box.getBoundingClientRect();
        if (!again && w === width && h === height) return false;
        [width, height] = [w, h];
        picture.setAttribute("viewBox", `0 0 ${w} ${h}`);
        for (const [k, v] of Object.entries({ x: m.l - 8, y: m.t - 8, width: Math.max(0, w - m.l - m.r + 16), height: Math.max(0, h - m.t - m.b + 16) })) clip.setAttribute(k, v);
        const axes = picture.querySelector(".axes") || svg("g", { class: "axes" }, picture);
        axes.replaceChildren();
        picture.append(inside);
        if (inner) return true;
        for (const [v, text] of yticks || ticks(...self.y, ylog).map((v) => [v, number(v)])) {
          svg("path", { class: "grid", d: `M${m.l} ${self.sy(v)}H${w - m.r}` }, axes);
          svg("text", { x: m.l - 6, y: self.sy(v) + 4, "text-anchor": "end" }, axes).textContent = text;
        }
        for (const [v, text] of xticks || ticks(...self.x, xlog, w < 300 ? 3 : 5).map((v) => [v, number(v)])) {
          svg("path", { class: "grid", d: `M${self.sx(v)} ${m.t}V${h - m.b + 4}` }, axes);
          svg("text", { x: self.sx(v), y: h - m.b + 17, "text-anchor": "middle" }, axes).textContent = text;
        }
        svg("text", { x: 4, y: 14, class: "title" }, axes).textContent = title;
        svg("text", { x: (m.l + w - m.r) / 2, y: h - 5, "text-anchor": "middle" }, axes).textContent = across;
        return true;
      },
      /** The mark of a name, made once: `kind` is its tag, the name its class. */
      mark: (kind, name) => (marks[name] ||= svg(kind, { class: name }, inside)),
      path(xs, ys) {
        let d = "";
        for (let i = 0; i < xs.length; i++) {
          const v = ys[i], py = Math.min(1e4, Math.max(-1e4, self.sy(v)));
          if (Number.isFinite(v) && Number.isFinite(py)) d += `${d ? "L" : "M"}${Math.min(1e4, Math.max(-1e4, self.sx(xs[i]))).toFixed(1)} ${py.toFixed(1)}`;
        }
        return d;
      },
      line: (name, xs, ys) => self.mark("path", name).setAttribute("d", self.path(xs, ys)),
      band(name, xs, least, most) {
        const back = self.path([...xs].reverse(), [...most].reverse()).replace("M", "L");
        self.mark("path", name).setAttribute("d", back ? `${self.path(xs, least)}${back}Z` : "");
      },
      dots(name, points, r = 3) {
        const d = points.filter(([a, b]) => Math.abs(self.sx(a)) + Math.abs(self.sy(b)) < 1e5).map(([a, b]) => `M${(self.sx(a) - r).toFixed(1)} ${self.sy(b).toFixed(1)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`);
        self.mark("path", name).setAttribute("d", d.join(""));
      },
      text(name, a, b, words, anchor = "start") {
        const node = self.mark("text", name);
        for (const [k, v] of Object.entries({ x: self.sx(a), y: self.sy(b), "text-anchor": anchor })) node.setAttribute(k, v);
        node.textContent = words;
      },
      /** columns x rows of colours, the first row at the bottom. */
      cells(columns, rows, colour) {
        box.classList.add("field");
        const [g] = fit(canvas), dx = (width - m.l - m.r) / columns, dy = (height - m.t - m.b) / rows;
        const scale = canvas.width / width, pixel = (v) => Math.round(v * scale) / scale; // no gaps between cells
        for (let j = 0; j < rows; j++)
          for (let i = 0; i < columns; i++) {
            g.fillStyle = colour(i, j);
            const left = pixel(m.l + i * dx), top = pixel(height - m.b - (j + 1) * dy);
            g.fillRect(left, top, pixel(m.l + (i + 1) * dx) - left, pixel(height - m.b - j * dy) - top);
          }
      },
      /** Faint lines: [[xs, ys, colour], ...]. */
      ghosts(lines, alpha = 0.35) {
        const [g] = fit(canvas);
        g.save();
        g.beginPath();
        g.rect(m.l, m.t, width - m.l - m.r, height - m.t - m.b);
        g.clip();
        g.globalAlpha = alpha;
        for (const [xs, ys, colour] of lines) { g.strokeStyle = colour; g.stroke(new Path2D(self.path(xs, ys))); }
        g.restore();
      },
      /** pick(x, y) where one presses or drags, key(dx, dy) by the arrow keys. */
      control(words, pick, key) {
        for (const [k, v] of Object.entries({ tabindex: 0, role: "application", "aria-label": words })) box.setAttribute(k, v);
        picture.setAttribute("role", "presentation");
        picture.removeAttribute("aria-label");
        const back = (f, [low, high], log) => (log ? low * (high / low) ** f : low + f * (high - low)), bounded = (f) => Math.min(1, Math.max(0, f));
        const at = (e) => {
          const b = box.getBoundingClientRect();
          pick(back(bounded((e.clientX - b.left - m.l) / (width - m.l - m.r)), self.x, xlog), back(bounded(1 - (e.clientY - b.top - m.t) / (height - m.t - m.b)), self.y, ylog));
        };
        box.classList.add("control");
        box.addEventListener("pointerdown", (e) => { box.setPointerCapture(e.pointerId); at(e); });
        box.addEventListener("pointermove", (e) => e.buttons && at(e));
        box.addEventListener("keydown", (e) => {
          const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key];
          if (move) { e.preventDefault(); key(...move); }
        });
      },
    };
    return self;
  }

  /** Where ticks stand on an axis of positions 0, 1, ...: [[position, text], ...], at most five. */
  function places(values) {
    const n = values.length, wide = n > 2 && values.every((v) => v > 0) && values[n - 1] / values[0] >= 30;
    if (wide && Math.abs(values[1] / values[0] - values[2] / values[1]) < 1e-6 * (values[1] / values[0]))
      return ticks(values[0], values[n - 1], true).map((v) => [(Math.log(v / values[0]) / Math.log(values[n - 1] / values[0])) * (n - 1), number(v)]);
    const by = Math.max(1, Math.ceil((n - 1) / 5));
    return values.map((v, i) => [i, number(v)]).filter(([i]) => i % by === 0);
  }

  /** A map of all runs, which is a slider for two numbers at once. xs, ys: the values of its axes. */
  function map(root, { xs, ys, across, up, label, onPick }) {
    const p = plot(root, { x: [-0.5, xs.length - 0.5], y: [-0.5, ys.length - 0.5], xticks: places(xs), yticks: places(ys), across, title: up });
    const clamp = (v, n) => Math.max(0, Math.min(n - 1, Math.round(v)));
    let at = [0, 0];
    const go = (i, j) => onPick(...(at = [clamp(i, xs.length), clamp(j, ys.length)]));
    p.box.classList.add("map");
    p.control(label, go, (dx, dy) => go(at[0] + dx, at[1] + dy));
    return {
      plot: p,
      set(i, j) { at = [i, j]; p.layout(); p.dots("cross", [[i, j]], 7); },
      draw(quality, paint) { p.layout(); p.cells(xs.length, ys.length, (i, j) => paint(quality(i, j))); },
    };
  }

  // ----------------------------------------------------------------------------------- words

  /** A number as one writes it: three digits, powers of ten where it is very large or small. */
  function number(x) {
    if (typeof x !== "number") return String(x);
    if (Number.isNaN(x)) return "no number";
    const a = Math.abs(x);
    if (a === 0 || (a < 1e5 && a >= 1e-4)) return String(+x.toPrecision(4));
    const [m, e] = x.toExponential(3).split("e"), digits = "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";
    return `${+m === 1 ? "" : `${+m}\u00b7`}10${[...String(+e)].map((c) => digits["-0123456789".indexOf(c)]).join("")}`;
  }

  /** Calls f once in a frame, however often it is asked for. */
  function once(f) {
    let waiting = false;
    return () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; f(); });
    };
  }

  return { decode, style, palette, fit, svg, element, slider, chips, ticks, plot, map, number, once };
})();
