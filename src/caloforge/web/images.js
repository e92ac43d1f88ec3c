// ---- Colours -------------------------------------------------------------------------------

// Viridis (Smith and van der Walt), every sixteenth colour.
const VIRIDIS = [
  "440154", "481a6c", "472f7d", "414487", "39568c", "31688e", "2a788e", "23888e",
  "1f988b", "22a884", "35b779", "54c568", "7ad151", "a5db36", "d2e21b", "fde725",
].map(parseColour);
// Ends of the diverging map; its middle is the neutral colour of the page.
const LESS = parseColour("2166ac");
const MORE = parseColour("b2182b");

function parseColour(hex) {
  return [0, 2, 4].map((i) => parseInt(hex.replace("#", "").slice(i, i + 2), 16));
}

function blend(a, b, share) {
  return a.map((value, i) => Math.round(value + (b[i] - value) * share));
}

/** Red, green and blue of the sequential map at t in [0, 1]. */
function sequential(t) {
  const at = Math.min(1, Math.max(0, t)) * (VIRIDIS.length - 1);
  const i = Math.min(VIRIDIS.length - 2, Math.floor(at));
  return blend(VIRIDIS[i], VIRIDIS[i + 1], at - i);
}

/** Red, green and blue of the diverging map at t in [-1, 1]. */
function diverging(t) {
  const neutral = getComputedStyle(document.documentElement).getPropertyValue("--neutral");
  const middle = parseColour(neutral.trim());
  return blend(middle, t < 0 ? LESS : MORE, Math.min(1, Math.abs(t)));
}

const css = (rgb) => `rgb(${rgb.join(" ")})`;

// ---- Geometry ------------------------------------------------------------------------------

const isCells = (layer) => "x" in layer;

/** Number of cells of a layer. */
function countCells(layer) {
  return isCells(layer) ? (layer.x.length - 1) * (layer.y.length - 1)
                        : layer.sectors * (layer.r.length - 1);
}

/** Where cell i of a layer lies: {x: [..], y: [..]} or {r: [..], alpha: [..]}, mm and radians. */
function cellBounds(layer, i) {
  if (isCells(layer)) {
    const columns = layer.y.length - 1;
    const [ix, iy] = [Math.floor(i / columns), i % columns];
    return { x: layer.x.slice(ix, ix + 2), y: layer.y.slice(iy, iy + 2) };
  }
  const rings = layer.r.length - 1;
  const [sector, ring] = [Math.floor(i / rings), i % rings];
  const step = (2 * Math.PI) / layer.sectors;
  return { r: layer.r.slice(ring, ring + 2), alpha: [sector * step, (sector + 1) * step] };
}

/** Where a cell lies, in words. */
function describeCell(layer, i) {
  const bounds = cellBounds(layer, i);
  const span = ([low, high]) => `${format(low)} to ${format(high)}`;
  if (isCells(layer)) return `x ${span(bounds.x)} mm, y ${span(bounds.y)} mm`;
  const degrees = bounds.alpha.map((angle) => (angle * 180) / Math.PI);
  return `r ${span(bounds.r)} mm` + (layer.sectors > 1 ? `, α ${span(degrees)}°` : "");
}

/** Outline of a cell as an SVG path in mm, y upwards. */
function cellPath(layer, i) {
  const { x, y, r, alpha } = cellBounds(layer, i);
  if (isCells(layer)) return `M${x[0]} ${-y[0]}H${x[1]}V${-y[1]}H${x[0]}Z`;
  if (layer.sectors === 1) return ringPath(r[1]) + (r[0] > 0 ? ringPath(r[0]) : "");
  const point = (radius, angle) =>
    `${(radius * Math.cos(angle)).toFixed(2)} ${(-radius * Math.sin(angle)).toFixed(2)}`;
  return `M${point(r[0], alpha[0])}L${point(r[1], alpha[0])}` +
    `A${r[1]} ${r[1]} 0 0 0 ${point(r[1], alpha[1])}L${point(r[0], alpha[1])}` +
    `A${r[0]} ${r[0]} 0 0 1 ${point(r[0], alpha[0])}Z`;
}

function ringPath(r) {
  return `M${r} 0A${r} ${r} 0 0 0 ${-r} 0A${r} ${r} 0 0 0 ${r} 0Z`;
}

/** Half of the side of the square around a layer, mm. */
function layerReach(layer) {
  return isCells(layer) ? Math.max(...[...layer.x, ...layer.y].map(Math.abs)) : layer.r.at(-1);
}

// ---- Images of a layer ---------------------------------------------------------------------

/** Colours that all images share. */
function makeColourScales(samples) {
  const values = samples.flatMap((sample) => sample.image).filter((value) => value > 0);
  const largest = values.reduce((a, b) => Math.max(a, b), 0) || 1;
  const smallest = values.reduce((a, b) => Math.min(a, b), largest);
  const high = 10 ** (Math.ceil(2 * Math.log10(largest)) / 2);
  const low = Math.max(10 ** Math.floor(Math.log10(smallest)), high * 1e-6);
  return {
    low, high,
    deposit: (value) => (value > 0 ? css(sequential(Math.log(value / low) / Math.log(high / low))) : "none"),
    ratio: (value) => (value > 0 ? css(diverging(Math.log2(value))) : "none"),
  };
}

/** One image: cells true to scale, x to the right and y upwards, both in mm. */
function drawImage(layer, colours, width, zoom, label) {
  const [left, top, bottom] = [38, 20, 36];
  const side = width - left - 3;
  const reach = layerReach(layer) / zoom;
  // Slanted edges would let the page shine through between voxels.
  const outline = (colour) => (isCells(layer) ? "" : `stroke="${colour}" stroke-width="${(0.8 * reach) / side}"`);
  const count = side > 190 ? 4 : 2;
  const x = makeScale(-reach, reach, left, left + side, { count });
  const y = makeScale(-reach, reach, top + side, top, { count });
  const cells = colours.map((colour, i) =>
    (colour === "none" ? "" : `<path data-cell="${i}" fill="${colour}" ${outline(colour)} d="${cellPath(layer, i)}"/>`));
  const frame = `<rect class="axis" x="${left}" y="${top}" width="${side}" height="${side}"/>`;
  const axes = drawXAxis(x, top + side, left, left + side, "x / mm") + y.ticks.map((tick) =>
    `<line class="axis" x1="${left - 4}" x2="${left}" y1="${y(tick.value)}" y2="${y(tick.value)}"/>` +
    `<text x="${left - 6}" y="${y(tick.value) + 4}" text-anchor="end">${tick.label}</text>`).join("") +
    `<text x="0" y="${top - 8}">y / mm</text>`;
  return `<svg width="${width}" height="${top + side + bottom + 4}" role="img" aria-label="${label}">${axes}` +
    `<svg x="${left}" y="${top}" width="${side}" height="${side}" style="overflow:hidden" ` +
    `viewBox="${-reach} ${-reach} ${2 * reach} ${2 * reach}">` +
    `<g class="cells" fill-rule="evenodd" ${isCells(layer) ? 'shape-rendering="crispEdges"' : ""}>` +
    `${cells.join("")}</g></svg>${frame}</svg>`;
}

/** A bar of colours with its ticks. */
function drawColourBar(width, label, scale, colourAt) {
  const steps = 64;
  const stripes = Array.from({ length: steps }, (_, i) =>
    `<rect x="${(i * width) / steps}" y="18" width="${width / steps + 0.7}" height="10" ` +
    `fill="${colourAt((i + 0.5) / steps)}"/>`);
  const every = Math.ceil((36 * scale.ticks.length) / width);
  const marks = scale.ticks.filter((_, i) => i % every === 0).map(({ value, label: text }) => {
    const anchor = scale(value) < 12 ? "start" : scale(value) > width - 12 ? "end" : "middle";
    return `<text x="${scale(value)}" y="43" text-anchor="${anchor}">${text}</text>`;
  });
  return `<svg width="${width}" height="48" role="img" aria-label="${label}">` +
    `<text x="0" y="11">${label}</text>${stripes.join("")}${marks.join("")}</svg>`;
}

function drawDepositBar(width, low, high, label) {
  const scale = makeScale(low, high, 0, width, { log: true });
  return drawColourBar(width, label, scale, (t) => css(sequential(t)));
}

function drawRatioBar(width, name) {
  const scale = makeScale(0.5, 2, 0, width, { log: true });
  scale.ticks = [0.5, 0.7, 1, 1.4, 2].map((value) => ({ value, label: String(value) }));
  return drawColourBar(width, `ratio to ${name}`, scale, (t) => css(diverging(2 * t - 1)));
}
