"use strict";
(function () {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const coarse = window.matchMedia("(pointer: coarse)");

  // Charts name their colours "@ink", "@rekur", ...: the style sheet knows them, for light and dark.
  function withColors(value, style) {
    if (Array.isArray(value)) {
      return value.length && value[0] && typeof value[0] === "object" ? value.map((v) => withColors(v, style)) : value;
    }
    if (!value || typeof value !== "object") return value;
    const out = {};
    for (const [key, item] of Object.entries(value)) {
      const isColor = typeof item === "string" && item[0] === "@" && key.toLowerCase().endsWith("color");
      out[key] = isColor ? style.getPropertyValue("--" + item.slice(1)).trim() : withColors(item, style);
    }
    return out;
  }

  function draw(id, chart) {
    const place = document.getElementById(id);
    if (!place) return;
    place.hidden = !chart;
    if (!chart) return;
    const { data, layout } = withColors(chart, getComputedStyle(document.documentElement));
    layout.dragmode = coarse.matches ? false : "zoom"; // a finger scrolls the page
    if (place.clientWidth < 500) layout.xaxis.nticks = 5;
    Plotly.react(place, data, layout, { responsive: true, displayModeBar: false, displaylogo: false });
  }

  function show(k) {
    const series = charts.series[k];
    draw("forecast", series.forecast);
    draw("backtest", series.backtest);
    for (const select of document.querySelectorAll("select")) select.value = String(k);
    for (const name of document.querySelectorAll(".name")) name.textContent = series.label;
    for (const note of document.querySelectorAll(".backtest-note")) note.textContent = series.note;
    const legend = document.getElementById("backtest-legend");
    if (legend) legend.hidden = !series.backtest;
    chosen = k;
  }

  function drawAll() {
    show(chosen);
    draw("training", charts.training);
  }

  let chosen = 0;
  for (const select of document.querySelectorAll("select")) {
    select.addEventListener("change", () => show(Number(select.value)));
  }
  dark.addEventListener("change", drawAll);
  drawAll();
})();
