"use strict";

// ---- Numbers and words ---------------------------------------------------------------------

/** A number of so many significant digits, thousands separated, with a true minus sign. */
function format(value, digits = 3) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e7) {
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    return `${Number(mantissa)}×10${superscript(Number(power))}`.replace("-", "−");
  }
  const text = value.toLocaleString("en", { maximumSignificantDigits: digits });
  return text.replace("-", "−");
}

/** A value with its error: as many decimals as the error's two leading digits. */
function formatWithError(value, error) {
  if (!(error > 0)) return format(value, 4);
  const decimals = Math.min(8, Math.max(0, 1 - Math.floor(Math.log10(error))));
  return `${value.toFixed(decimals)} <small>± ${error.toFixed(decimals)}</small>`;
}

function superscript(power) {
  return String(power).replace(/[-\d]/g, (sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? "⁻");
}

/** An energy given in MeV, in the unit that suits it. */
function formatEnergy(mev) {
  const [unit, size] = mev >= 1000 ? ["GeV", 1000] : mev >= 0.1 || mev === 0 ? ["MeV", 1] : ["keV", 1e-3];
  return `${format(mev / size)} ${unit}`;
}

function formatTime(seconds) {
  const units = [["s", 1], ["ms", 1e-3], ["µs", 1e-6], ["ns", 1e-9]];
  const [unit, size] = units.find(([, size]) => seconds >= size) ?? units.at(-1);
  return `${format(seconds / size)} ${unit}`;
}

function formatSpan([low, high]) {
  return low === high ? `${format(low)} GeV` : `${format(low)}–${format(high)} GeV`;
}

/** "pi+" as a physicist writes it. */
function formatParticle(name) {
  const greek = { gamma: "γ", "pi+": "π⁺", "pi-": "π⁻", "mu+": "μ⁺", "mu-": "μ⁻" };
  return greek[name] ?? name.replace(/\+$/, "⁺").replace(/-$/, "⁻");
}

function escapeHtml(text) {
  const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return String(text).replace(/[&<>"]/g, (sign) => entities[sign]);
}

// ---- Scales and axes -----------------------------------------------------------------------

/** A map from [low, high] to pixels, linear or logarithmic, with its ticks. */
function makeScale(low, high, from, to, { log = false, count = 5 } = {}) {
  const warp = log ? Math.log10 : (value) => value;
  const slope = (to - from) / (warp(high) - warp(low));
  const scale = (value) => from + (warp(value) - warp(low)) * slope;
  scale.ticks = log ? logTicks(low, high, Math.abs(to - from) / 40) : linearTicks(low, high, count);
  return scale;
}

function linearTicks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.75);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return ticks.map((value) => ({ value, label: value.toFixed(decimals).replace("-", "−") }));
}

/** Ticks of a logarithmic axis of so many pixels: as many as have room for their labels. */
function logTicks(low, high, room) {
  const decades = Math.log10(high / low);
  const factors = decades > 2.5 ? [1] : decades > 1.2 ? [1, 2, 5] : [1, 2, 3, 4, 5, 7];
  const every = Math.max(1, Math.ceil((decades * factors.length) / Math.max(2, room)));
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high) + 1e-9; power++) {
    if (factors.length === 1 && power % every !== 0) continue;
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (value < low * 0.999 || value > high * 1.001) continue;
      const small = `${factor === 1 ? "" : `${factor}×`}10${superscript(power)}`;
      ticks.push({ value, label: Math.abs(power) <= 3 ? format(value) : small });
    }
  }
  return ticks;
}

function drawXAxis(scale, y, left, right, label) {
  const marks = scale.ticks.map(({ value, label: text }) =>
    `<line class="axis" x1="${scale(value)}" x2="${scale(value)}" y1="${y}" y2="${y + 4}"/>` +
    `<text x="${scale(value)}" y="${y + 17}" text-anchor="middle">${text}</text>`);
  return `<line class="axis" x1="${left}" x2="${right}" y1="${y}" y2="${y}"/>${marks.join("")}` +
    `<text x="${right}" y="${y + 34}" text-anchor="end">${label}</text>`;
}

function drawYAxis(scale, left, right, top, label) {
  const marks = scale.ticks.map(({ value, label: text }) =>
    `<line class="gridline" x1="${left}" x2="${right}" y1="${scale(value)}" y2="${scale(value)}"/>` +
    `<text x="${left - 6}" y="${scale(value) + 4}" text-anchor="end">${text}</text>`);
  return marks.join("") + (label ? `<text x="0" y="${top - 10}">${label}</text>` : "");
}

/** Draw into an element now and whenever its width changes. */
function mount(element, draw) {
  let drawn = 0;
  const redraw = () => {
    const width = Math.floor(element.clientWidth);
    if (width > 0 && width !== drawn) {
      element.innerHTML = draw(width);
      drawn = width;
    }
  };
  new ResizeObserver(redraw).observe(element);
  redraw();
}

// ---- Histogram with ratio ------------------------------------------------------------------

/** The outline of a histogram as an SVG path. */
function stepPath(edges, heights, x, y, base) {
  const steps = heights.map((height, i) => `L${x(edges[i])} ${y(Math.max(height, base))}H${x(edges[i + 1])}`);
  return `M${x(edges[0])} ${y(base)}${steps.join("")}V${y(base)}`;
}

/** The middle of a bin as it is drawn. */
function middle(edges, i, x) {
  return (x(edges[i]) + x(edges[i + 1])) / 2;
}

/** Vertical error bars at the centres of the bins. */
function barsPath(edges, values, errors, x, y, low, high) {
  const clamp = (value) => Math.min(high, Math.max(low, value));
  return values.map((value, i) => {
    if (value === null || value - errors[i] > high || value + errors[i] < low) return "";
    return `M${middle(edges, i, x)} ${y(clamp(value - errors[i]))}V${y(clamp(value + errors[i]))}`;
  }).join("");
}

/**
 * Showers as a line over the reference as an area, their ratio below.
 * @param histogram {edges, showers: {density, error}, reference or null}
 * @param options factor: on the densities; xLog, yLog: logarithmic axes; reference: its name.
 */
function drawHistogram(histogram, width, { title, label, yLabel, factor = 1, xLog = false, yLog = false, name }) {
  const { edges, showers, reference } = histogram;
  const [left, right, top, height] = [46, width - 6, 44, 190];
  const values = (curve) => curve.density.map((density) => factor * density);
  const errors = (curve) => curve.error.map((error) => factor * error);
  const heights = [...values(showers), ...(reference ? values(reference) : [])];
  const highest = Math.max(...heights) || 1;
  const least = heights.reduce((a, b) => (b > 0 && b < a ? b : a), highest);
  const [low, high] = yLog ? [Math.max(0.5 * least, 1e-6 * highest), 2 * highest] : [0, 1.12 * highest];
  const x = makeScale(edges[0], edges.at(-1), left, right, { log: xLog, count: width > 420 ? 6 : 4 });
  const y = makeScale(low, high, top + height, top, { log: yLog, count: 4 });
  const bottom = top + height + (reference ? 108 : 0);
  return `<svg width="${width}" height="${bottom + 40}" role="img" aria-label="${title}: ${yLabel} against ${label}">` +
    `<text class="title" x="0" y="14">${title}</text>` +
    drawYAxis(y, left, right, top, yLabel) +
    (reference ? `<path class="reference-area" d="${stepPath(edges, values(reference), x, y, low)}"/>` : "") +
    `<path class="showers-line" d="${stepPath(edges, values(showers), x, y, low)}"/>` +
    `<path class="showers-bars" d="${barsPath(edges, values(showers), errors(showers), x, y, low, high)}"/>` +
    (reference ? drawRatio(histogram, x, left, right, top + height + 32, 76, name) : "") +
    drawXAxis(x, bottom, left, right, label) + "</svg>";
}

/** Showers over the reference, with the errors of the one as bars and of the other as a band. */
function drawRatio({ edges, showers, reference }, x, left, right, top, height, name) {
  const over = (value, i) => (reference.density[i] > 0 ? value / reference.density[i] : null);
  const ratio = showers.density.map((value, i) => (value > 0 ? over(value, i) : null));
  const errors = showers.error.map((value, i) => over(value, i) ?? 0);
  const band = reference.error.map((value, i) => over(value, i) ?? 0);
  const precise = ratio.filter((value, i) => value !== null && errors[i] + band[i] < 0.3);
  const worst = Math.max(0, ...precise.map((value) => Math.max(value - 1, 1 / value - 1)));
  const reach = [0.1, 0.25, 0.5, 1].find((limit) => worst < limit);
  // What is far off is seen on a logarithmic scale.
  const [low, high] = reach ? [1 - reach, 1 + reach] : [0.1, 10];
  const y = makeScale(low, high, top + height, top, { log: !reach });
  y.ticks = [low, 1, high].map((value) => ({ value, label: String(value) }));
  const boxes = band.map((value, i) => {
    const [above, below] = [y(Math.min(high, 1 + value)), y(Math.max(low, 1 - value))];
    return reference.density[i] > 0 ? `M${x(edges[i])} ${above}H${x(edges[i + 1])}V${below}H${x(edges[i])}Z` : "";
  });
  const marks = ratio.map((value, i) => {
    if (value === null) return "";
    const centre = middle(edges, i, x);
    if (value >= low && value <= high) return `<circle class="showers-dot" r="2.4" cx="${centre}" cy="${y(value)}"/>`;
    // What lies beyond the range with its whole error is an arrowhead at its end.
    if (value - errors[i] < high && value + errors[i] > low) return "";
    const [end, tip] = value > high ? [top + 6, -6] : [top + height - 6, 6];
    return `<path class="showers-beyond" d="M${centre - 3.5} ${end}h7l-3.5 ${tip}Z"/>`;
  });
  return drawYAxis(y, left, right, top, "") +
    `<path class="reference-band" d="${boxes.join("")}"/>` +
    `<line class="unity" x1="${left}" x2="${right}" y1="${y(1)}" y2="${y(1)}"/>` +
    `<path class="showers-bars" d="${barsPath(edges, ratio, errors, x, y, low, high)}"/>` +
    marks.join("") + `<text x="0" y="${top - 9}">ratio to ${name}</text>`;
}

// ---- Points with errors --------------------------------------------------------------------

/**
 * Points of showers and Geant4.
 * @param series {showers: [{x, y, error}], reference: [...]}
 */
function drawPoints(series, width, { title, label, xLog = false, fromZero = false }) {
  const all = [...series.reference, ...series.showers];
  const [left, right, top, height] = [52, width - 4, 26, 128];
  const xs = all.map((point) => point.x);
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const x = xLog ? makeScale(first / 1.25, last * 1.25, left, right, { log: true })
                 : makeScale(first - 0.5, last + 0.5, left, right, { count: 8 });
  const lowest = Math.min(...all.map((point) => point.y - point.error));
  const highest = Math.max(...all.map((point) => point.y + point.error));
  const margin = 0.12 * (highest - lowest) || 0.1 * highest || 1;
  const y = makeScale(fromZero ? 0 : lowest - margin, highest + margin, top + height, top, { count: 4 });
  const draw = (points, kind, shift) => points.map((point) => {
    const centre = x(point.x) + shift;
    const [low, high] = [y(point.y - point.error), y(point.y + point.error)];
    return `<path class="${kind}-bars" d="M${centre} ${low}V${high}"/>` +
      `<circle class="${kind}-dot" r="3.6" cx="${centre}" cy="${y(point.y)}"/>`;
  }).join("");
  return `<svg width="${width}" height="${top + height + 44}" role="img" aria-label="${title}">` +
    `<text class="title" x="0" y="12">${title}</text>` +
    drawYAxis(y, left, right, top, "") + draw(series.reference, "reference", 0) +
    draw(series.showers, "showers", 0) + drawXAxis(x, top + height, left, right, label) + "</svg>";
}
