"use strict";
/* Lines that grow over a picture, by a slider over the steps; nothing comes from elsewhere. */
(() => {
  const D = JSON.parse(document.querySelector("script[type]").textContent);
  const root = document.querySelector("svg"), input = document.querySelector("input"), button = document.querySelector("button");
  function svg(tag, attributes, parent = root) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    return parent.appendChild(node);
  }
  root.setAttribute("viewBox", `0 0 ${D.width} ${D.height}`);
  svg("image", { href: `data:image/png;base64,${D.picture}`, width: D.width, height: D.height });
  const panels = D.clips.map(([x, y, width, height], k) => {
    svg("rect", { x, y, width, height }, svg("clipPath", { id: `panel-${k}` }));
    return svg("g", { "clip-path": `url(#panel-${k})`, fill: "none", "stroke-width": 2.5 });
  });
  const tracks = D.racers.slice().reverse().flatMap((racer) => racer.map((t, k) => ({
    ...t,
    line: svg("polyline", { stroke: t.colour, "stroke-dasharray": t.dashes }, panels[k]),
    head: svg("polygon", { points: t.marker, fill: t.colour, stroke: "#fff", "stroke-width": 1.5 }, panels[k]),
  })));
  const [x, y] = D.counter, counter = svg("text", { x, y, "text-anchor": "middle", "font-size": 13 });

  function show(i) {
    const step = D.steps[i], count = D.kept.filter((k) => k <= step).length;
    for (const { places, line, head } of tracks) {
      const seen = places.slice(0, count);
      line.setAttribute("points", seen.join(" "));
      head.setAttribute("transform", `translate(${seen[seen.length - 1]})`);
    }
    counter.textContent = `step ${step.toLocaleString("en")} of ${D.last.toLocaleString("en")}`;
    input.value = i;
    input.setAttribute("aria-valuetext", counter.textContent);
  }

  let timer = 0;
  function stop() { clearInterval(timer); timer = 0; button.textContent = "Play"; }
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (+input.value === D.steps.length - 1) show(0);
    button.textContent = "Pause";
    timer = setInterval(() => (+input.value < D.steps.length - 1 ? show(+input.value + 1) : stop()), 1000 / D.fps);
  });
  Object.assign(input, { min: 0, max: D.steps.length - 1, step: 1 });
  input.addEventListener("input", () => { stop(); show(+input.value); });
  show(D.steps.length - 1);
})();
