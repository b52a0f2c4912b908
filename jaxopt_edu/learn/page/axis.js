/* A slider in a notebook: what anywidget calls. Its parts live in a shadow tree, so that several on
   one page, and the styles of the page, do not meet. */

/** The colours of outcomes, as this part of the page paints them: see `X.palette`. */
function palette(root) {
  const probe = X.element("i", {}, root);
  const painted = (colour) => { probe.style.color = colour; return getComputedStyle(probe).color; };
  const found = Array.from({ length: 101 }, (_, i) => painted(`color-mix(in oklab, var(--good) ${i}%, var(--bad))`));
  const missing = painted("var(--missing)");
  probe.remove();
  return (q) => (Number.isNaN(q) ? missing : found[Math.round(100 * q)]);
}

/** Whether the text around is light, which it is where the notebook is dark. */
function isDark(node) {
  const g = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  g.fillStyle = getComputedStyle(node).color;
  g.fillRect(0, 0, 1, 1);
  const [red, green, blue] = g.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 128;
}

export default {
  render({ model, el }) {
    const host = X.element("div", { class: "jaxopt-edu-axis" }, el);
    host.dataset.lmSuppressShortcuts = "true"; // the arrow keys are the slider's, not JupyterLab's
    const root = host.attachShadow({ mode: "open" });
    X.element("style", {}, root, STYLE);
    const labels = model.get("labels"), outcomes = model.get("outcomes"), heights = model.get("heights");
    const text = (i) => `${X.number(labels[i])}: ${outcomes[i] === null ? "diverged" : `${model.get("outcome_name")} ${X.number(outcomes[i])}`}`;
    const slider = X.slider(root, {
      name: model.get("name"), count: labels.length, text,
      onInput: (i) => { slider.set(i); model.set("index", i); model.save_changes(); },
    });
    const follow = () => slider.set(model.get("index"));
    const draw = X.once(() => {
      host.classList.toggle("dark", isDark(el));
      slider.draw((i) => (heights[i] === null ? NaN : heights[i]), palette(root));
    });
    const sizes = new ResizeObserver(draw), themes = new MutationObserver(draw), system = matchMedia("(prefers-color-scheme: dark)");
    sizes.observe(host);
    for (const node of [document.documentElement, document.body]) themes.observe(node, { attributes: true });
    system.addEventListener("change", draw);
    model.on("change:index", follow);
    follow();
    return () => {
      sizes.disconnect();
      themes.disconnect();
      system.removeEventListener("change", draw);
      model.off("change:index", follow);
    };
  },
};
