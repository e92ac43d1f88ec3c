// ---- Rulers of the view in three dimensions: how large a shower is, in mm -------------------

/**
 * Three rulers around the box that is looked at, each with the four edges that it may lie on.
 * @param reach Half width and height of the box, mm.
 */
function makeRulers(layers, depths, middle, reach) {
  const [start, end] = [depths[0][0], depths.at(-1)[1]];
  const at = (z, y, x) => [z - middle, y, x];
  const signs = [[-1, -1], [-1, 1], [1, -1], [1, 1]];
  const rulers = [
    { name: "x / mm", low: -reach, high: reach,
      edges: signs.map(([y, z]) => (x) => at(z < 0 ? start : end, y * reach, x)) },
    { name: "y / mm", low: -reach, high: reach, upright: true,
      edges: signs.map(([x, z]) => (y) => at(z < 0 ? start : end, y, x * reach)) },
  ];
  // Where the layers lie is not known of every readout: then there is nothing to measure.
  if (layers[0].depth) {
    rulers.push({ name: "depth / mm", low: start, high: end,
      edges: signs.map(([y, x]) => (z) => at(z, y * reach, x * reach)) });
  }
  return rulers;
}

/** Each ruler along the edge that is least in the way: the lowest, the upright one along the leftmost. */
function drawRulers(context, rulers, project, colour) {
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = 1;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  const heart = project([0, 0, 0]);
  for (const ruler of rulers) {
    const place = (edge) => meanPoint([project(edge(ruler.low)), project(edge(ruler.high))]);
    const edge = ruler.edges.reduce((best, other) => {
      const [a, b] = [place(best), place(other)];
      return (ruler.upright ? b[0] < a[0] : b[1] > a[1]) ? other : best;
    });
    drawRuler(context, ruler, (value) => project(edge(value)), heart);
  }
}

function drawRuler(context, { name, low, high }, at, heart) {
  const [first, last] = [at(low), at(high)];
  const along = [last[0] - first[0], last[1] - first[1]];
  const length = Math.hypot(...along);
  if (length < 50) return; // seen from its end
  // Outwards: across the ruler, away from the middle of the box.
  let out = [-along[1] / length, along[0] / length];
  const centre = meanPoint([first, last]);
  if (out[0] * (centre[0] - heart[0]) + out[1] * (centre[1] - heart[1]) < 0) out = out.map((value) => -value);
  const beside = ([x, y], distance) => [x + out[0] * distance, y + out[1] * distance];
  // Labels stand beside a steep ruler, and under a flat one.
  const steep = Math.abs(out[0]) > 0.5;
  context.textAlign = !steep ? "center" : out[0] > 0 ? "left" : "right";
  line(context, first, last);
  for (const { value, label } of linearTicks(low, high, Math.max(3, Math.min(6, length / 60)))) {
    const point = at(value);
    line(context, point, beside(point, 5));
    context.fillText(label, ...beside(point, steep ? 8 : 14));
  }
  context.fillText(name, ...beside(centre, steep ? 38 : 30));
}

function line(context, from, to) {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}
