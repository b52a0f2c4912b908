"use strict";
/* The runtime of an explorable: arrays, sliders whose tracks show where their positions end, maps,
   curves. Nothing is computed that could be looked up, and nothing comes from elsewhere. */

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

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

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
    parent.append(node);
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

  /** A native range whose track shows what becomes of each of its positions. */
  function slider(root, { name, count, text, onInput }) {
    const box = element("div", { class: "slider" }, root);
    const label = element("label", { for: `slider-${name}` }, box);
    element("span", {}, label, name);
    const output = element("output", { for: `slider-${name}` }, label);
    const track = element("div", { class: "track" }, box);
    const canvas = element("canvas", { "aria-hidden": "true" }, track);
    const input = element("input", { type: "range", id: `slider-${name}`, min: 0, max: count - 1, step: 1 }, track);
    input.addEventListener("input", () => onInput(+input.value));
    const half = 9; // of the thumb
    const pick = (e) => {
      const b = canvas.getBoundingClientRect(), x = (e.clientX - b.left - half) / (b.width - 2 * half);
      onInput(Math.max(0, Math.min(count - 1, Math.round(x * (count - 1)))));
    };
    canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); pick(e); });
    canvas.addEventListener("pointermove", (e) => e.buttons && pick(e));
    return {
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
    const box = element("fieldset", { class: "chips" }, root);
    element("legend", {}, box, name);
    const inputs = Array.from({ length: count }, (_, i) => {
      const label = element("label", {}, box);
      const input = element("input", { type: "radio", name: `chips-${name}` }, label);
      element("span", {}, label, text(i));
      input.addEventListener("change", () => onInput(i));
      return input;
    });
    return { set: (i) => (inputs[i].checked = true), draw() {} };
  }

  /** A map of all runs, which is a slider for two numbers at once. */
  function map(root, { columns, rows, across, up, onPick }) {
    const box = element("div", { class: "map" }, root);
    const label = `Map of all runs: ${across}, ${up}. The arrow keys change them.`;
    const plane = element("div", { class: "plane", tabindex: 0, role: "application", "aria-label": label }, box);
    const canvas = element("canvas", {}, plane), cross = element("i", { class: "cross" }, plane);
    element("div", { class: "across" }, box, across);
    element("div", { class: "up" }, box, up);
    let at = [0, 0];
    const clamp = (x, n) => Math.max(0, Math.min(n - 1, x));
    const go = (i, j) => onPick(...(at = [clamp(i, columns), clamp(j, rows)]));
    const pick = (e) => {
      const b = plane.getBoundingClientRect(), x = (e.clientX - b.left) / b.width, y = 1 - (e.clientY - b.top) / b.height;
      go(Math.floor(x * columns), Math.floor(y * rows));
    };
    plane.addEventListener("pointerdown", (e) => { plane.setPointerCapture(e.pointerId); pick(e); });
    plane.addEventListener("pointermove", (e) => e.buttons && pick(e));
    plane.addEventListener("keydown", (e) => {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key];
      if (!move) return;
      e.preventDefault();
      go(at[0] + move[0], at[1] + move[1]);
    });
    return {
      set(i, j) {
        at = [i, j];
        cross.style.left = `${((i + 0.5) / columns) * 100}%`;
        cross.style.bottom = `${((j + 0.5) / rows) * 100}%`;
      },
      draw(quality, paint) {
        const [g, w, h] = fit(canvas), dx = w / columns, dy = h / rows;
        for (let j = 0; j < rows; j++)
          for (let i = 0; i < columns; i++) {
            g.fillStyle = paint(quality(i, j));
            g.fillRect(i * dx, h - (j + 1) * dy, dx + 0.4, dy + 0.4);
          }
      },
    };
  }

  /** Curves over steps: ghosts on a canvas, the chosen one and its band over seeds in SVG. */
  function curves(root, { x, low, high, ticks, title, across }) {
    const box = element("div", { class: "curves" }, root);
    const canvas = element("canvas", { "aria-hidden": "true" }, box);
    const picture = svg("svg", { role: "img", "aria-label": title }, box);
    const m = { l: 54, r: 10, t: 22, b: 30 };
    let sx, sy, band, line, mark;
    const path = (ys) => {
      let d = "";
      ys.forEach((y, i) => Number.isNaN(y) || (d += `${d ? "L" : "M"}${sx(x[i]).toFixed(1)} ${sy(y).toFixed(1)}`));
      return d;
    };
    return {
      layout() {
        const { width, height } = box.getBoundingClientRect(), first = x[0], last = x[x.length - 1];
        picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
        picture.replaceChildren();
        sx = (v) => m.l + ((v - first) / (last - first || 1)) * (width - m.l - m.r);
        sy = (v) => height - m.b - ((Math.min(high, Math.max(low, v)) - low) / (high - low || 1)) * (height - m.t - m.b);
        for (const [v, text] of ticks) {
          svg("path", { class: "grid", d: `M${m.l} ${sy(v)}H${width - m.r}` }, picture);
          svg("text", { x: m.l - 6, y: sy(v) + 4, "text-anchor": "end" }, picture).textContent = text;
        }
        for (const v of [first, last]) svg("text", { x: sx(v), y: height - 12, "text-anchor": v === first ? "start" : "end" }, picture).textContent = v;
        svg("text", { x: m.l, y: 14, class: "title" }, picture).textContent = title;
        svg("text", { x: (m.l + width) / 2, y: height - 12, "text-anchor": "middle" }, picture).textContent = across;
        band = svg("path", { class: "band" }, picture);
        line = svg("path", { class: "line" }, picture);
        mark = svg("circle", { class: "here", r: 5 }, picture);
      },
      ghosts(lines, paint) {
        const [g] = fit(canvas);
        g.globalAlpha = 0.35;
        for (const [ys, q] of lines) { g.strokeStyle = paint(q); g.stroke(new Path2D(path(ys))); }
        g.globalAlpha = 1;
      },
      set(ys, least, most, now) {
        line.setAttribute("d", path(ys));
        mark.setAttribute("visibility", Number.isNaN(ys[now]) ? "hidden" : "visible");
        if (!Number.isNaN(ys[now])) { mark.setAttribute("cx", sx(x[now])); mark.setAttribute("cy", sy(ys[now])); }
        const back = path([...most]).replace("M", "L"), reversed = back.split("L").filter(Boolean).reverse().join("L");
        band.setAttribute("d", least === most || !reversed ? "" : `${path(least)}L${reversed}Z`);
      },
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
    return `${+m}\u00b710${[...String(+e)].map((c) => digits["-0123456789".indexOf(c)]).join("")}`;
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

  return { decode, palette, slider, chips, map, curves, number, once, element };
})();
