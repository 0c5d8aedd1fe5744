"use strict";
(function () {
  let page; // the data of the page, once they are unpacked
  let chosen = 0; // the series that is shown
  let whole = false; // whether the whole history of a series is shown
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const coarse = window.matchMedia("(pointer: coarse)");
  const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
  const LISTED = 100; // series in the list at once
  const plots = new Map(); // by the id of their place

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const superscript = (n) => [...String(n)].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");
  const formats = new Map();

  function number(value, digits = 6) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size && (size >= 1e8 || size < 1e-4)) {
      const [scaled, power] = value.toExponential(Math.min(digits, 4) - 1).split("e");
      return `${scaled} × 10${superscript(Number(power))}`.replace("-", "−");
    }
    if (!formats.has(digits)) formats.set(digits, new Intl.NumberFormat("en", { maximumSignificantDigits: digits }));
    return formats.get(digits).format(value).replace("-", "−");
  }

  // Times are seconds of the clock on the wall, as if it were UTC.
  function timeText(axis, x) {
    if (!axis.unit) return String(x);
    const length = { D: 10, m: 16, s: 19, ms: 23 }[axis.unit];
    return new Date(Math.round(x * 1000)).toISOString().slice(0, length).replace("T", " ");
  }

  function gridOf(spec) {
    const grid = page.grids[spec.x];
    return Array.isArray(grid) ? grid : Array.from({ length: grid.count }, (_, k) => grid.start + k * grid.step);
  }

  function column(n, from, values, before = null) {
    const out = new Array(n).fill(null);
    values.forEach((value, k) => (out[from + k] = value));
    if (before !== null) out[from - 1] = before;
    return out;
  }

  const isolated = (y, i) => y[i] != null && y[i - 1] == null && y[i + 1] == null;

  function drawBands(u, spec, x) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const at = (i) => u.valToPos(x[i], "x", true), level = (v) => u.valToPos(v, "y", true);
    for (const band of spec.bands) {
      const low = column(x.length, band.from, band.low, band.before), high = column(x.length, band.from, band.high, band.before);
      ctx.fillStyle = color(band.color);
      for (let i = 0; i < x.length; i++) {
        if (low[i] === null || high[i] === null) continue;
        let stop = i;
        while (stop + 1 < x.length && low[stop + 1] !== null && high[stop + 1] !== null) stop++;
        if (stop === i) {
          const step = Math.abs(at(i + (i + 1 < x.length ? 1 : -1)) - at(i));
          ctx.fillRect(at(i) - step / 2, level(high[i]), step, level(low[i]) - level(high[i]));
        } else {
          ctx.beginPath();
          for (let k = i; k <= stop; k++) ctx.lineTo(at(k), level(low[k]));
          for (let k = stop; k >= i; k--) ctx.lineTo(at(k), level(high[k]));
          ctx.fill();
        }
        i = stop;
      }
    }
    ctx.strokeStyle = color("muted");
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.lineWidth = devicePixelRatio;
    for (const mark of spec.marks) {
      const left = u.valToPos(mark, "x", true);
      ctx.beginPath();
      ctx.moveTo(left, bbox.top);
      ctx.lineTo(left, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  function tooltip(u, spec, axis, x, tip) {
    const i = u.cursor.idx;
    const rows = [];
    const add = (name, text) => rows.push([name, text]);
    if (i !== null && i !== undefined && u.cursor.left >= 0) {
      for (const line of spec.lines) {
        const value = line.values[i - line.from];
        if (value !== null && value !== undefined && line.name) add(line.name, number(value));
      }
      for (const band of [...spec.bands].reverse()) {
        const low = band.low[i - band.from];
        if (low !== null && low !== undefined) add(`${band.percent} %`, `${number(low)} … ${number(band.high[i - band.from])}`);
      }
    }
    tip.hidden = !rows.length;
    if (!rows.length) return;
    tip.replaceChildren();
    const head = tip.appendChild(document.createElement("b"));
    head.textContent = spec.points ? "" : axis.unit ? timeText(axis, x[i]) : `${axis.x} ${number(x[i])}`;
    for (const [name, text] of rows) {
      const row = tip.appendChild(document.createElement("div"));
      row.appendChild(document.createElement("span")).textContent = name;
      row.appendChild(document.createElement("span")).textContent = text;
    }
    const right = u.cursor.left > u.over.clientWidth / 2;
    tip.style.left = right ? "auto" : `${u.cursor.left + 12}px`;
    tip.style.right = right ? `${u.over.clientWidth - u.cursor.left + 12}px` : "auto";
  }

  const DATES = [
    // step in seconds, text, and text where a new year, month, day, hour, minute or second begins
    [3600 * 24 * 365, "{YYYY}", null, null, null, null, null, null, 1],
    [3600 * 24 * 28, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [3600 * 24, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [3600, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
    [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
    [0.001, ":{ss}.{fff}", "\n{D} {MMM} {YYYY} {HH}:{mm}", null, "\n{D} {MMM} {HH}:{mm}", null, "\n{HH}:{mm}", null, 1],
  ];

  function axes(axis) {
    const shared = { stroke: color("muted"), font: FONT, labelFont: FONT, labelSize: 20, ticks: { show: false } };
    const grid = { stroke: color("grid"), width: 1 };
    const plain = (u, splits) => splits.map((value) => (axis.whole && value % 1 ? "" : axis.whole ? String(value) : number(value)));
    const width = (u, texts) => (texts ? Math.max(...texts.map((text) => text.length)) * 7 + 12 : 40);
    return [
      { ...shared, label: axis.x, grid: { show: false }, space: 64, values: axis.unit ? DATES : plain, size: axis.unit ? 42 : 28 },
      { ...shared, label: axis.y, grid, space: 36, size: width, values: (u, splits) => splits.map((value) => number(value, 6)) },
    ];
  }

  function lineOf(line) {
    const stroke = color(line.color);
    const options = { stroke, width: line.width ?? 2, dash: line.dash ? [6, 4] : undefined, points: { show: true, size: 5, fill: stroke, stroke, width: 0 } };
    if (line.bars) return { ...options, width: 0, fill: stroke, paths: uPlot.paths.bars({ size: [0.92], gap: 1 }), points: { show: false } };
    if (line.points) return { ...options, paths: () => null, points: { ...options.points, size: 6 } };
    if (!line.dots) options.points.filter = (u, k) => u.data[k].flatMap((_, i) => (isolated(u.data[k], i) ? [i] : []));
    return options;
  }

  function draw(id, spec) {
    const place = document.getElementById(id);
    if (!place) return;
    if (plots.has(id)) plots.get(id).destroy();
    plots.delete(id);
    for (const part of document.querySelectorAll(`[data-chart="${id}"]`)) part.hidden = !spec;
    if (!spec) return;
    const axis = page.axes[spec.axis], x = gridOf(spec), n = x.length, tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    const columns = spec.lines.map((line) => column(n, line.from, line.values, line.before));
    for (const band of spec.bands) columns.push(column(n, band.from, band.low), column(n, band.from, band.high));
    const hidden = spec.bands.flatMap(() => [0, 1].map(() => ({ points: { show: false }, width: 0 })));
    const pad = spec.pad ?? 0;
    const range = {
      x: (u, low, high) => (low === high ? [low - 1, high + 1] : [low - pad, high + pad]),
      y: spec.zero ? (u, low, high) => [0, high * 1.08 || 1] : (u, low, high) => uPlot.rangeNum(low ?? 0, high ?? 1, 0.08, false),
    };
    const plot = new uPlot(
      {
        width: place.clientWidth, height: place.clientHeight, padding: [8, 16, 0, 0],
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        scales: { x: { time: Boolean(axis.unit), range: range.x }, y: { range: range.y } },
        axes: axes(axis), series: [{}, ...spec.lines.map(lineOf), ...hidden],
        legend: { show: false },
        cursor: { y: false, drag: { x: !coarse.matches, y: false }, points: { show: false } },
        hooks: {
          init: [(u) => u.over.appendChild(tip)],
          drawAxes: [(u) => drawBands(u, spec, x)],
          setCursor: [(u) => tooltip(u, spec, axis, x, tip)],
        },
      },
      [x, ...columns],
      place,
    );
    plots.set(id, plot);
    setView(plot, spec, x);
  }

  // The latest rows, unless the reader has asked for all; a drag zooms, a double click shows all again.
  function setView(plot, spec, x) {
    if (spec.view && !whole) plot.setScale("x", { min: x[spec.view], max: x[x.length - 1] + (spec.pad ?? 0) });
  }

  // The rows of the forecast of a series as text: time, median and limits of the intervals.
  function forecastRows(series) {
    const spec = series.forecast, axis = page.axes[spec.axis], x = gridOf(spec), { from, columns } = series.numbers;
    return columns[0].map((_, k) => [timeText(axis, x[from + k]), ...columns.map((values) => values[k])]);
  }

  function csv() {
    const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const row = (cells) => cells.map((value) => cell(String(value ?? ""))).join(",");
    const named = page.table.id !== null;
    const lines = [row([...(named ? [page.table.id] : []), page.table.time, ...page.table.columns])];
    for (const series of page.series) {
      for (const cells of forecastRows(series)) lines.push(row([...(named ? [series.label] : []), ...cells]));
    }
    return lines.join("\n") + "\n";
  }

  // As many decimals as a ten-thousandth of the range of the numbers has.
  function tableFormat(columns) {
    const values = columns.flat().filter((value) => value !== null);
    const low = Math.min(...values), high = Math.max(...values), size = Math.max(Math.abs(low), Math.abs(high));
    if (!values.length || size >= 1e8 || (size && size < 1e-4)) return (value) => number(value);
    const decimals = Math.min(9, Math.max(0, Math.ceil(-Math.log10((high - low || size || 1) * 1e-4))));
    const format = new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    return (value) => (value === null ? "–" : format.format(value).replace("-", "−"));
  }

  function fillTable(series) {
    const format = tableFormat(series.numbers.columns);
    const rows = forecastRows(series).map(([time, ...values]) => {
      const row = document.createElement("tr");
      const head = row.appendChild(document.createElement("th"));
      head.scope = "row";
      head.textContent = time;
      for (const value of values) row.appendChild(document.createElement("td")).textContent = format(value);
      return row;
    });
    document.querySelector("#numbers tbody").replaceChildren(...rows);
  }

  function fillList() {
    const wanted = search.value.trim().toLowerCase();
    const matches = page.series.flatMap((series, k) => (series.label.toLowerCase().includes(wanted) ? [k] : []));
    const items = matches.slice(0, LISTED).map((k) => {
      const { label, mase } = page.series[k];
      const item = document.createElement("li"), button = item.appendChild(document.createElement("button"));
      button.type = "button";
      button.setAttribute("aria-pressed", String(k === chosen));
      for (const text of [label, ...(mase ?? []).map((value) => (value === null ? "–" : value.toFixed(3)))]) {
        button.appendChild(document.createElement("span")).textContent = text;
      }
      button.addEventListener("click", () => show(k));
      return item;
    });
    document.getElementById("series").replaceChildren(...items);
    const more = matches.length - items.length;
    document.getElementById("matches").textContent =
      !matches.length ? "No series has this in its name." : more ? `${number(more)} more: type a part of the name.` : "";
  }

  function show(k) {
    const series = page.series[k];
    chosen = k;
    for (const id of ["forecast", "backtest", "trend", "season"]) draw(id, series[id]);
    for (const place of document.querySelectorAll(".name")) place.textContent = series.label;
    for (const place of document.querySelectorAll(".backtest-note")) place.textContent = series.note;
    fillTable(series);
    if (search) fillList();
  }

  // A chart of a forecast takes its values from the table of the numbers, by the number of a column.
  function takeNumbers(series) {
    const { lines, bands } = series.forecast;
    for (const part of [...lines, ...bands]) {
      for (const key of ["values", "low", "high"]) {
        if (Number.isInteger(part[key])) part[key] = series.numbers.columns[part[key]];
      }
    }
  }

  function drawAll() {
    if (page.series.length) show(chosen);
    for (const [id, spec] of Object.entries(page.charts)) draw(id, spec);
  }

  const search = document.getElementById("search");

  function start() {
    page.series.forEach(takeNumbers);
    const link = document.getElementById("download");
    if (link) link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    if (search) search.addEventListener("input", fillList);
    const button = document.getElementById("whole");
    if (button) button.addEventListener("click", () => {
      whole = !whole;
      button.setAttribute("aria-pressed", String(whole));
      draw("forecast", page.series[chosen].forecast);
    });
    drawAll();
    dark.addEventListener("change", drawAll);
    const resized = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        const plot = plots.get(target.id);
        if (plot && target.clientWidth && target.clientWidth !== plot.width) {
          plot.setSize({ width: target.clientWidth, height: target.clientHeight });
        }
      }
    });
    for (const place of document.querySelectorAll(".plot")) resized.observe(place);
  }

  if (!("DecompressionStream" in window)) {
    document.getElementById("unsupported").hidden = false;
    return;
  }
  const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  new Response(unpacked).json().then((data) => {
    page = data;
    start();
  });
})();
