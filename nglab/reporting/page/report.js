"use strict";
// Sorts and filters the table, and draws what it shows: rows in colour, the others faint.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const SVG = byId("examples").namespaceURI;
  const DASHES = ["", "6 3", "1.5 2.5", "6 2 1.5 2", "9 2 2 2 2 2"];
  const BOX = { left: 58, right: 548, top: 16, bottom: 294, width: 560, height: 340 };
  const FEW_POINTS = 30, LEGEND_ROWS = 12, NEAREST = 30, FIRST = 12, MANY = 100;
  const hits = new Map(); // picture → its points, for the pointer

  for (const curves of Object.values(data.views)) {
    for (const curve of curves) {
      if (curve.y) { // a run: its examples are one of the lists, its losses the same against both clocks
        curve.examples = [data.places[curve.x], curve.y];
        curve.seconds = [curve.s, curve.y];
      }
    }
  }

  // ---- numbers

  const shown = (v) => {
    if (v === 0) return "0";
    const size = Math.abs(v);
    if (size < 1e-3 || size >= 1e7) return Number(v.toPrecision(3)).toExponential().replace("e+", "e");
    return String(size >= 1000 ? Math.round(v) : Number(v.toPrecision(4)));
  };
  const superscript = (n) => String(n).replace(/[-0-9]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
  const drawable = (v) => v !== null && v > 0;
  const middle = (values) => {
    const v = [...values].sort((a, b) => a - b), half = v.length >> 1;
    return v.length % 2 ? v[half] : (v[half - 1] + v[half]) / 2;
  };

  function roundTicks(low, high, most = 6) {
    const least = (high - low) / most, power = 10 ** Math.floor(Math.log10(least));
    const step = [1, 2, 2.5, 5, 10].map((s) => s * power).find((s) => s >= least * (1 - 1e-9));
    const ticks = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high * (1 + 1e-9); n++) {
      ticks.push([n * step, shown(Number((n * step).toPrecision(10)))]);
    }
    return ticks;
  }

  function logTicks(low, high, most = 8) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9), ticks = [];
    if (Math.log10(high / low) >= 2) {
      const every = 1 + Math.floor((last - first) / most);
      for (let n = first; n <= last; n++) {
        const plain = n > -3 && n < 5 && last - first < 5;
        if (n % every === 0) ticks.push([10 ** n, plain ? shown(10 ** n) : "10" + superscript(n)]);
      }
      return ticks;
    }
    for (let n = first - 1; n <= last; n++) {
      for (const s of [1, 2, 5]) {
        const v = Number((s * 10 ** n).toPrecision(3));
        if (v >= low && v <= high) ticks.push([v, shown(v)]);
      }
    }
    return ticks;
  }

  // ---- pictures

  function make(name, attributes, parent, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  function axis(low, high, log, from, to, ticks) {
    const of = log ? Math.log : (v) => v, start = of(low), length = of(high) - start || 1;
    return { low, high, log, ticks: ticks ?? (log ? logTicks(low, high) : roundTicks(low, high)),
             at: (v) => from + ((of(v) - start) / length) * (to - from) };
  }

  const across = (low, high, log, ticks) => axis(low, high, log, BOX.left, BOX.right, ticks);
  const upwards = (low, high, log) => axis(low, high, log, BOX.bottom, BOX.top);

  function spanned(values, log, beside = 0.04) {
    let low = Infinity, high = -Infinity;
    for (const v of values) {
      if (v === null || (log && v <= 0)) continue;
      low = Math.min(low, v);
      high = Math.max(high, v);
    }
    if (low > high) return [0.1, 1];
    if (log) {
      const factor = Math.max((high / low) ** beside, low === high ? 2 : 1);
      return [low / factor, high * factor];
    }
    const more = beside * (high - low || Math.abs(high) || 1);
    return [low - more, high + more];
  }

  // Of rising values those that are so far from one another as their labels need.
  function apart(values, at, room) {
    let last = -Infinity;
    return values.filter((v) => at(v) - last >= room && (last = at(v)));
  }

  // The axes on an empty picture; what is drawn inside is cut off at them.
  function frame(svg, x, y, xName, yName, says) {
    svg.replaceChildren();
    svg.setAttribute("aria-label", says);
    const cut = make("clipPath", { id: svg.id + "-inside" }, svg);
    make("rect", { x: BOX.left, y: BOX.top - 4, width: BOX.right - BOX.left + 6, height: BOX.bottom - BOX.top + 4 }, cut);
    for (const [value, label] of y.ticks) {
      const at = y.at(value);
      make("line", { x1: BOX.left, x2: BOX.right, y1: at, y2: at, class: "grid" }, svg);
      make("text", { x: BOX.left - 6, y: at + 4, "text-anchor": "end" }, svg, label);
    }
    for (const [value, label] of x.ticks) {
      const at = x.at(value);
      make("line", { x1: at, x2: at, y1: BOX.bottom, y2: BOX.bottom + 5, class: "axis" }, svg);
      make("text", { x: at, y: BOX.bottom + 18, "text-anchor": "middle" }, svg, label);
    }
    make("path", { d: `M${BOX.left} ${BOX.top}V${BOX.bottom}H${BOX.right}`, class: "axis" }, svg);
    make("text", { x: (BOX.left + BOX.right) / 2, y: BOX.height - 8, "text-anchor": "middle" }, svg, xName);
    const up = { x: 0, y: 0, transform: `translate(13 ${(BOX.top + BOX.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" };
    make("text", up, svg, yName);
    const inside = make("g", { "clip-path": `url(#${svg.id}-inside)` }, svg);
    const points = [];
    hits.set(svg, points);
    return { inside, faint: make("g", {}, inside), curves: make("g", { class: "curves" }, inside), points };
  }

  const fixed = (v) => Math.round(v * 10) / 10;

  // A path through what can be shown, broken where nothing can.
  function path(xs, ys, x, y) {
    let d = "", pen = "M";
    for (let i = 0; i < xs.length; i++) {
      if (!drawable(ys[i]) || xs[i] === null || (x.log && xs[i] <= 0)) { pen = "M"; continue; }
      d += pen + fixed(x.at(xs[i])) + " " + fixed(y.at(ys[i]));
      pen = "L";
    }
    return d;
  }

  function band([xs, , low, high], x, y) {
    const there = xs.map((_, i) => i).filter((i) => drawable(low[i]) && drawable(high[i]) && !(x.log && xs[i] <= 0));
    const side = (ys, order) => order.map((i) => fixed(x.at(xs[i])) + " " + fixed(y.at(ys[i]))).join("L");
    return there.length ? "M" + side(high, there) + "L" + side(low, there.reverse()) + "Z" : "";
  }

  function cross(at, parent, colour) {
    const [x, y] = at;
    make("path", { d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`, stroke: colour, class: "lost" }, parent);
  }

  function drawCurves(svg, clock, name, unit, rows, chosen, y, log) {
    const x = across(...spanned(rows.flatMap((row) => row.curve[clock][0].map((v) => v / unit)), log, log ? 0.02 : 0.03), log);
    const says = `test loss against ${name}: ${chosen.length} lines in colour, ${rows.length - chosen.length} faint`;
    const { faint, curves, points } = frame(svg, x, y, name, "test loss", says);
    for (const floor of data.floors) {
      make("line", { x1: BOX.left, x2: BOX.right, y1: y.at(floor), y2: y.at(floor), stroke: data.floor,
                     "stroke-dasharray": "6 4", "stroke-width": 1.4 }, faint);
    }
    let together = "";
    for (const row of rows) {
      const [places, losses] = row.curve[clock], xs = places.map((v) => v / unit);
      if (!row.colour) together += path(xs, losses, x, y);
      xs.forEach((at, i) => {
        if (drawable(losses[i]) && !(log && at <= 0)) points.push({ x: x.at(at), y: y.at(losses[i]), row, i, clock });
      });
    }
    make("path", { d: together, class: "faint" }, faint);
    for (const row of [...chosen].reverse()) { // the first on top
      const curve = row.curve, [places, losses] = curve[clock], xs = places.map((v) => v / unit);
      if (curve[clock].length > 2 && curve.of > 1) {
        make("path", { d: band([xs, ...curve[clock].slice(1)], x, y), class: "band", fill: row.colour, "fill-opacity": Math.min(0.16, 1 / chosen.length) }, curves);
      }
      make("path", { d: path(xs, losses, x, y), stroke: row.colour, "stroke-dasharray": row.dash }, curves);
      const there = xs.map((v, i) => [v, losses[i]]).filter(([v, loss]) => drawable(loss) && !(log && v <= 0));
      if (there.length < FEW_POINTS) {
        for (const [v, loss] of there) make("circle", { cx: x.at(v), cy: y.at(loss), r: 2, fill: row.colour }, curves);
      }
      if (curve.lost && curve.final === null && there.length) {
        const [v, loss] = there.at(-1);
        cross([x.at(v), Math.max(BOX.top + 4, y.at(loss))], curves, row.colour);
      }
    }
  }

  // As in the pictures of `nglab plot`: no more than ten times above where the curves begin.
  function lossAxis(rows) {
    let low = Infinity, high = -Infinity, start = -Infinity;
    for (const row of rows) {
      const losses = row.curve.examples[1].filter(drawable);
      if (losses.length) start = Math.max(start, losses[0]);
      for (const loss of losses) { low = Math.min(low, loss); high = Math.max(high, loss); }
    }
    if (low > high) return upwards(0.1, 1, true);
    return upwards(Math.min(low, ...data.floors) / 1.5, Math.min(high, 10 * start) * 1.5, true);
  }

  function drawRates(rows) {
    const methods = new Map();
    for (const row of rows) {
      if (row.curve.rate > 0) {
        if (!methods.has(row.curve.method)) methods.set(row.curve.method, []);
        methods.get(row.curve.method).push(row);
      }
    }
    const rates = (own) => new Set(own.map((row) => row.curve.rate)).size;
    const swept = [...methods].filter(([, own]) => rates(own) >= 3);
    byId("rates-figure").hidden = swept.length === 0;
    if (!swept.length) return;
    const every = swept.flatMap(([, own]) => own);
    const least = ([, own]) => Math.min(Infinity, ...own.map((row) => row.curve.final).filter(drawable));
    const lines = [...swept].sort((a, b) => least(a) - least(b)).slice(0, data.palette.length).map(([name]) => name);
    const colour = (name) => data.palette[lines.indexOf(name)];
    const tried = [...new Set(every.map((row) => row.curve.rate))].sort((a, b) => a - b);
    const at = across(...spanned(tried, true), true).at;
    const room = 12 + 6.5 * Math.max(...tried.map((rate) => shown(rate).length));
    const x = across(...spanned(tried, true), true, apart(tried, at, room).map((rate) => [rate, shown(rate)]));
    const [low, high] = spanned([...every.flatMap((row) => row.curve.finals), ...data.floors], true);
    const y = upwards(low / 1.2, Math.max(high * 1.5, low * 3), true);
    const says = `final test loss against learning rate, ${swept.length} methods`;
    const { faint, curves, points } = frame(byId("rates"), x, y, "learning rate", "final test loss", says);
    for (const [name, own] of swept) {
      const shade = colour(name), by = new Map();
      for (const row of own) {
        const { rate, finals } = row.curve;
        by.set(rate, [...(by.get(rate) ?? []), ...finals.map((final) => final ?? Infinity)]);
        for (const final of finals.filter(drawable)) {
          const [cx, cy] = [x.at(rate), y.at(final)];
          points.push({ x: cx, y: cy, row, final });
          make("circle", { cx, cy, r: 2.6, ...(shade ? { fill: shade, "fill-opacity": 0.4 } : { class: "faint-dot" }) },
               shade ? curves : faint);
        }
      }
      const order = [...by.keys()].sort((a, b) => a - b), medians = order.map((rate) => middle(by.get(rate)));
      const d = path(order, medians.map((v) => (isFinite(v) ? v : null)), x, y);
      make("path", shade ? { d, stroke: shade } : { d, class: "faint" }, shade ? curves : faint);
    }
    const lost = new Map();
    for (const row of every) {
      const [n, of] = lost.get(row.curve.rate) ?? [0, 0];
      lost.set(row.curve.rate, [n + row.curve.lost, of + row.curve.of]);
    }
    const losing = tried.filter((rate) => lost.get(rate)[0] > 0);
    for (const rate of losing) cross([x.at(rate), BOX.top + 6], curves, "#d55e00");
    for (const rate of apart(losing, x.at, 30)) {
      const counted = { x: x.at(rate), y: BOX.top - 5, "text-anchor": "middle", "font-size": 10 };
      make("text", counted, byId("rates"), lost.get(rate).join("/"));
    }
    legend(byId("rates-legend"), lines.filter(Boolean).map((name) => ({ label: name, colour: colour(name), dash: "" })),
           [swept.length > lines.length ? `${swept.length - lines.length} more, faint` : ""]);
  }

  function drawTimes(rows, chosen) {
    const there = rows.filter((row) => drawable(row.curve.reached[0]) && drawable(row.curve.reached[1]));
    byId("times-figure").hidden = there.length < 2;
    if (there.length < 2) return;
    byId("never").textContent = `${there.length} of ${rows.length} reached it`;
    const x = across(...spanned(there.map((row) => row.curve.reached[0] / 1000), true, 0.08), true);
    const y = upwards(...spanned(there.map((row) => row.curve.reached[1]), true, 0.08), true);
    const says = `seconds against examples to target, ${there.length} points`;
    const { faint, curves, points } = frame(byId("times"), x, y, data.clocks[0], data.clocks[1], says);
    for (const row of [...there].reverse()) {
      const [examples, seconds] = row.curve.reached, at = { cx: x.at(examples / 1000), cy: y.at(seconds) };
      points.push({ x: at.cx, y: at.cy, row, clock: "reached" });
      make("circle", row.colour ? { ...at, r: 4.5, fill: row.colour } : { ...at, r: 2.5, class: "faint-dot" }, row.colour ? curves : faint);
    }
  }

  const stroke = ({ colour, dash }) =>
    make("path", { d: "M0 5H26", stroke: colour, "stroke-width": 2.4, "stroke-dasharray": dash, fill: "none" });

  function legend(place, lines, notes) {
    const words = notes.filter(Boolean).map((label) => ({ label }));
    place.replaceChildren(...[...lines, ...words].map(({ label, colour, dash }) => {
      const item = document.createElement("span"), swatch = make("svg", { class: "swatch", viewBox: "0 0 26 10" });
      if (colour) swatch.append(stroke({ colour, dash }));
      item.append(...(colour ? [swatch] : []), label);
      return item;
    }));
  }

  // ---- the pointer

  function point(svg, event) {
    const box = svg.getBoundingClientRect(), scale = BOX.width / box.width;
    const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let best = null, least = NEAREST ** 2;
    for (const one of hits.get(svg) ?? []) {
      const distance = (one.x - px) ** 2 + (one.y - py) ** 2 + (one.row.colour ? 0 : 60); // colour before faint
      if (distance < least) [best, least] = [one, distance];
    }
    leave();
    if (best) tell(svg, best, event);
  }

  function told({ row, i, clock, final }) {
    const { curve } = row, [examples, seconds] = curve.reached;
    if (clock === "reached") return `target after ${shown(examples)} examples, ${shown(seconds)} s`;
    if (clock === undefined) return `rate ${shown(curve.rate)}: final test loss ${shown(final)}`;
    const loss = curve.of > 1 ? "median test loss" : "test loss";
    if (curve.y) return `${shown(curve.examples[0][i])} examples, ${shown(curve.seconds[0][i])} s: ${loss} ${shown(curve.y[i])}`;
    return `${shown(curve[clock][0][i])} ${clock === "examples" ? "examples" : "s"}: ${loss} ${shown(curve[clock][1][i])}`;
  }

  function tell(svg, hit, event) {
    const hint = byId("hint"), group = make("g", { class: "curves at" }, svg), colour = hit.row.colour ?? "#5c5c5c";
    if (hit.clock in hit.row.curve && hit.clock !== "reached") {
      const line = hits.get(svg).filter((one) => one.row === hit.row);
      make("polyline", { points: line.map((one) => `${one.x},${one.y}`).join(" "), stroke: colour, "stroke-width": 3.2,
                         "clip-path": `url(#${svg.id}-inside)` }, group);
    }
    make("circle", { cx: hit.x, cy: hit.y, r: 4, stroke: colour, class: "point" }, group);
    hint.textContent = `${hit.row.curve.label}\n${told(hit)}`;
    hint.hidden = false;
    const left = Math.min(event.clientX + 14, window.innerWidth - hint.offsetWidth - 8);
    hint.style.left = `${Math.max(8, left)}px`;
    hint.style.top = `${event.clientY + 18 + hint.offsetHeight > window.innerHeight ? event.clientY - hint.offsetHeight - 12 : event.clientY + 18}px`;
    hit.row.tr.classList.add("near");
  }

  function leave() {
    byId("hint").hidden = true;
    document.querySelectorAll("g.at").forEach((one) => one.remove());
    document.querySelectorAll("tr.near").forEach((tr) => tr.classList.remove("near"));
  }

  for (const svg of ["examples", "seconds", "rates", "times"].map(byId)) {
    svg.addEventListener("pointermove", (event) => point(svg, event));
    svg.addEventListener("pointerleave", leave);
  }

  // ---- the table

  let view = Object.keys(data.views)[0];
  const tables = {};
  for (const [name, curves] of Object.entries(data.views)) {
    const table = byId(name);
    tables[name] = {
      table,
      keys: [...table.tHead.rows[0].cells].slice(1).map((th) => ({ key: th.dataset.key, label: th.textContent })),
      rows: [...table.tBodies[0].rows].map((tr) => ({
        tr, curve: curves[Number(tr.dataset.i)], tick: tr.querySelector("input"), swatch: tr.querySelector(".swatch"),
        values: [...tr.cells].slice(1).map((td) => td.dataset.v ?? td.textContent), text: tr.textContent.toLowerCase(),
      })),
    };
  }

  const FORM = /^([^<>=!~\s]+)(<=|>=|!=|<|>|=|~)(?![<>=!~])(.*)$/;
  const SIGNS = {
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
    "=": (a, b) => a === b, "!=": (a, b) => a !== b,
  };
  const numeric = (text) => (text.trim() === "" ? NaN : text === "inf" ? Infinity : Number(text));

  // A word of the filter as a condition on a row, as `nglab list --where` has it; else what its text must contain.
  function condition(word, keys) {
    const found = FORM.exec(word);
    if (!found) return (row) => row.text.includes(word.toLowerCase());
    const [, name, sign, value] = found;
    let at = keys.findIndex(({ key, label }) => [key, label].includes(name) || key === `${name}.name`);
    if (at < 0) at = keys.findIndex(({ key }) => key.endsWith(`.${name}`));
    if (at < 0) throw new Error(`${name}: no such column; there are ${keys.map(({ key }) => key).join(", ")}`);
    const wanted = numeric(value);
    return ({ values }) => {
      const own = values[at], number = numeric(own);
      if (sign === "~") return own.includes(value);
      if (!isNaN(wanted) && !isNaN(number)) return SIGNS[sign](number, wanted);
      return (own !== "" || sign in { "=": 0, "!=": 0 }) && SIGNS[sign](own, value);
    };
  }

  function filter() {
    const { rows, keys } = tables[view], help = byId("filter-help");
    try {
      const conditions = byId("filter").value.split(/\s+/).filter(Boolean).map((word) => condition(word, keys));
      for (const row of rows) row.tr.hidden = !conditions.every((holds) => holds(row));
      const left = rows.filter((row) => !row.tr.hidden).length;
      help.textContent = conditions.length ? `${left} of ${rows.length} ${view}` : "";
      help.classList.remove("wrong");
    } catch (error) {
      help.textContent = error.message;
      help.classList.add("wrong");
    }
  }

  function compare(a, b) {
    const [x, y] = [numeric(a), numeric(b)];
    if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y) || (a < b ? -1 : Number(a > b));
    return x < y ? -1 : Number(x > y);
  }

  // What has no value comes last, both ways.
  function sort(th, down, name = view) {
    const { table, rows } = tables[name], at = th.cellIndex - 1;
    rows.sort(({ values: a }, { values: b }) => {
      if (a[at] === "" || b[at] === "") return (a[at] === "") - (b[at] === "");
      return down ? compare(b[at], a[at]) : compare(a[at], b[at]);
    });
    table.tBodies[0].append(...rows.map((row) => row.tr));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  for (const { table } of Object.values(tables)) {
    table.tHead.addEventListener("click", ({ target }) => {
      const th = target.closest("th");
      if (!target.closest("button")) return;
      sort(th, th.getAttribute("aria-sort") === "ascending");
      draw();
    });
    table.tBodies[0].addEventListener("change", draw);
  }

  // ---- all of it

  function draw() {
    leave();
    const { rows } = tables[view], log = byId("log").checked;
    const visible = rows.filter((row) => !row.tr.hidden && row.curve.examples[0].length);
    const ticked = visible.filter((row) => row.tick.checked);
    const chosen = ticked.length ? ticked : visible.slice(0, tables[view].most);
    for (const row of rows) row.colour = null;
    chosen.forEach((row, k) => {
      const own = tables[view].own && row.curve;
      row.colour = own ? own.colour : data.palette[k % data.palette.length];
      row.dash = own ? own.dash : DASHES[Math.floor(k / data.palette.length) % DASHES.length];
    });
    for (const row of rows) row.swatch.replaceChildren(...(row.colour ? [stroke(row)] : []));
    byId("untick").hidden = ticked.length === 0;
    const y = lossAxis(visible);
    drawCurves(byId("examples"), "examples", data.clocks[0], 1000, visible, chosen, y, log);
    drawCurves(byId("seconds"), "seconds", data.clocks[1], 1, visible, chosen, y, log);
    const listed = chosen.length <= LEGEND_ROWS ? chosen : [];
    legend(byId("legend"), listed.map(({ curve, colour, dash }) => ({ label: curve.label, colour, dash })),
           [visible.length > chosen.length ? `${visible.length - chosen.length} more, faint` : "",
            listed.length < chosen.length ? "colours as in the table" : "",
            data.floors.length ? "dashed grey: the smallest possible loss" : ""]);
    drawRates(visible);
    drawTimes(visible, chosen);
  }

  function show(name) {
    view = name;
    byId("most").value = tables[view].most;
    for (const other of Object.keys(tables)) byId(`${other}-section`).hidden = other !== view;
    filter();
    draw();
  }

  byId("filter").addEventListener("input", () => { filter(); draw(); });
  byId("log").addEventListener("input", draw);
  byId("most").addEventListener("input", () => { tables[view].most = Number(byId("most").value) || 1; draw(); });
  byId("untick").addEventListener("click", () => { tables[view].rows.forEach((row) => (row.tick.checked = false)); draw(); });
  document.querySelectorAll("input[name=view]").forEach((one) => one.addEventListener("change", () => show(one.value)));

  // All in colour where each has a look of its own and they are not many, else the best of them.
  for (const [name, { table, rows }] of Object.entries(tables)) {
    const own = rows.every((row) => row.curve.colour || !row.curve.examples[0].length) && rows.length <= MANY;
    Object.assign(tables[name], { own, most: own ? Math.max(rows.length, 1) : FIRST });
    if (!own) sort(table.querySelector('th[data-key="test_loss"]'), false, name);
  }
  show(view);
})();
