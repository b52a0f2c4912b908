// Draws the charts, sorts the tables, and lets the brushes of the parallel coordinates filter.
"use strict";

const read = id => JSON.parse(document.getElementById(id).textContent);
const ORDER = read("order"), CHARTS = read("charts");
const DARK = matchMedia("(prefers-color-scheme: dark)");
const VIRIDIS = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39",
  "#fde725"];

// ------------------------------------------------------------------------------------- colours

// Names of colours in a chart, such as $best, for a dark or a light page. Good ranks stand out.
function colours() {
  const css = getComputedStyle(document.documentElement);
  const own = name => css.getPropertyValue("--" + name).trim();
  const dark = DARK.matches, ranks = dark ? [...VIRIDIS].reverse() : VIRIDIS;
  const scale = list => list.map((colour, i) => [i / (list.length - 1), colour]);
  const named = {
    ink: own("ink"), paper: own("paper"), dim: own("dim"), best: own("best"),
    finished: dark ? "#56a8e6" : "#0072b2", stopped: dark ? "#7fb8dd" : "#56b4e9",
    pale: "rgba(86, 180, 233, 0.2)", interrupted: "#e69f00", diverged: dark ? "#a3a7ae" : "#555555",
    ranks: scale([...ranks].reverse()), scores: scale(ranks), scores_r: scale([...ranks].reverse()),
    deaths: [[0, own("paper")], [1, "#d55e00"]],
  };
  ranks.forEach((colour, i) => { named["rank" + i] = colour; });
  const kinds = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];
  kinds.forEach((colour, i) => { named["colour" + i] = colour; });
  return named;
}

function coloured(part, named) {
  if (typeof part !== "object" || part === null) return part;
  if (Array.isArray(part))
    return typeof part[0] === "object" ? part.map(inner => coloured(inner, named)) : part;
  return Object.fromEntries(Object.entries(part).map(([key, value]) =>
    [key, /color/.test(key) && typeof value === "string" && value.startsWith("$")
      ? named[value.slice(1)] : coloured(value, named)]));
}

// -------------------------------------------------------------------------------------- charts

function layout(own, named) {
  const result = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", height: 400,
    font: {family: "system-ui, sans-serif", size: 12, color: named.ink},
    margin: {t: 56, r: 20, b: 50, l: 65}, hovermode: "closest",
    legend: {orientation: "h", y: 1, yref: "container", yanchor: "top", x: 0},
    xaxis: {}, yaxis: {}, ...coloured(own, named),
  };
  for (const key of Object.keys(result)) {
    if (/^[xy]axis/.test(key)) {
      const line = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
      result[key] = {gridcolor: line, zeroline: false, linecolor: named.dim, ...result[key]};
    }
  }
  return result;
}

function draw(chart) {
  const select = document.querySelector(`select[data-for="${chart.name}"]`);
  const view = chart.views.length ? chart.views[select ? select.selectedIndex : 0] : chart;
  const named = colours();
  // By name, since plotly.js has by itself one that sends the chart to its makers.
  const buttons = [["toImage"], chart.name === "parallel" ? [] :
    ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]];
  return Plotly.react(chart.name, coloured(view.data, named), layout(view.layout, named),
    {displaylogo: false, responsive: true, plotlyServerURL: "", modeBarButtons: buttons});
}

// Without brushes: they are forgotten with what was drawn before.
async function drawParallel() {
  const [parallel] = CHARTS, place = document.getElementById(parallel.name);
  Plotly.purge(place);
  await draw(parallel);
  place.on("plotly_restyle", filter);
  filter();
}

async function drawAll() {
  await drawParallel();
  for (const chart of CHARTS.slice(1)) {
    await draw(chart);
    await new Promise(requestAnimationFrame); // the page stays alive in between
  }
}

// --------------------------------------------------------------------------------------- table

// A click on a head sorts by its column, a second one the other way; empty cells come last.
function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const compare = ([x], [y]) => {
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? order : -order;
    };
    const rows = [...table.tBodies[0].rows].map(row => [row.cells[column].dataset.v, row]);
    table.tBodies[0].append(...rows.sort(compare).map(([, row]) => row));
  }));
}

// Hides the rows of trials that a brush leaves out, then pales their points in the charts, one
// chart after the other, until there is another brush.
let latest = 0;

async function filter() {
  const [trace] = document.getElementById("parallel").data;
  const within = (x, ranges, near) => (Array.isArray(ranges[0]) ? ranges : [ranges])
    .some(([low, high]) => low - near <= x && x <= high + near);
  const brushed = trace.dimensions.filter(axis => axis.constraintrange?.length);
  const kept = new Set(ORDER.filter((trial, i) =>
    brushed.every(axis => within(axis.values[i], axis.constraintrange,
      1e-6 * (axis.range[1] - axis.range[0])))));
  for (const row of document.getElementById("trials").tBodies[0].rows)
    row.hidden = !kept.has(Number(row.dataset.trial));
  const all = ORDER.length.toLocaleString("en");
  document.getElementById("count").textContent =
    brushed.length ? `${kept.size.toLocaleString("en")} of ${all} trials` : `${all} trials`;
  document.getElementById("all").hidden = !brushed.length;
  const mine = ++latest;
  for (const chart of CHARTS.slice(1)) {
    await new Promise(requestAnimationFrame);
    if (mine === latest) highlight(chart, brushed.length ? kept : null);
  }
}

// Points of a chart know their trials; null for all of them.
function highlight(chart, kept) {
  const place = document.getElementById(chart.name), data = place.data ?? [];
  const traces = [...data.keys()].filter(i => typeof data[i].customdata?.[0] === "number");
  const points = traces.map(i => kept &&
    data[i].customdata.flatMap((trial, k) => kept.has(trial) ? [k] : []));
  if (traces.length) Plotly.restyle(place, {selectedpoints: points}, traces);
}

// --------------------------------------------------------------------------------------- start

document.querySelectorAll("table.sortable").forEach(makeSortable);
for (const select of document.querySelectorAll("select"))
  select.addEventListener("change", async () => {
    await draw(CHARTS.find(chart => chart.name === select.dataset.for));
    filter();
  });
document.getElementById("all").addEventListener("click", drawParallel);
DARK.addEventListener("change", drawAll);
drawAll().then(() => { document.documentElement.dataset.drawn = "all"; });
