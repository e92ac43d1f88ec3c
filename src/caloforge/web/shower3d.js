// ---- Solids --------------------------------------------------------------------------------
// In the scene z, the depth, runs along the first axis, so that the particle comes from the left.

const ARC = Math.PI / 9; // longest arc that is drawn as a straight edge

/** Begin and end of each layer in depth, mm; equal spacing where it is not known. */
function layerDepths(layers) {
  if (layers[0].depth) return layers.map((layer) => layer.depth);
  const pitch = (2.4 * Math.max(...layers.map(layerReach))) / layers.length;
  return layers.map((_, i) => [i * pitch, (i + 0.9) * pitch]);
}

/** Outlines of the pieces of a cell in the plane, shrunk about its centre: arrays of [x, y], mm. */
function cellOutlines(layer, i, size) {
  const shrink = ([low, high], factor) => {
    const [middle, half] = [(low + high) / 2, ((high - low) / 2) * factor];
    return [middle - half, middle + half];
  };
  const bounds = cellBounds(layer, i);
  if (isCells(layer)) {
    const [x, y] = [shrink(bounds.x, size), shrink(bounds.y, size)];
    return [[[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]]];
  }
  const r = shrink(bounds.r, size);
  const alpha = layer.sectors > 1 ? shrink(bounds.alpha, size) : bounds.alpha;
  const pieces = Math.ceil((alpha[1] - alpha[0]) / ARC);
  const step = (alpha[1] - alpha[0]) / pieces;
  return Array.from({ length: pieces }, (_, k) => {
    const angles = [alpha[0] + k * step, alpha[0] + (k + 1) * step];
    const at = (radius, angle) => [radius * Math.cos(angle), radius * Math.sin(angle)];
    return [at(r[0], angles[0]), at(r[1], angles[0]), at(r[1], angles[1]), at(r[0], angles[1])];
  });
}

/** The prism over an outline, as faces of points in the scene. */
function makePrism(outline, [front, back], middle) {
  const at = ([x, y], z) => [z - middle, y, x];
  const sides = outline.map((point, k) => {
    const next = outline[(k + 1) % outline.length];
    return [at(point, front), at(next, front), at(next, back), at(point, back)];
  });
  const faces = [outline.map((point) => at(point, front)), outline.map((point) => at(point, back)), ...sides];
  const corners = [...faces[0], ...faces[1]];
  const centre = [0, 1, 2].map((k) => corners.reduce((sum, corner) => sum + corner[k], 0) / corners.length);
  return { faces, centre };
}

/** Frames of the layers, as closed lines in the scene. */
function layerFrames(layers, depths, middle) {
  return layers.flatMap((layer, i) => {
    const reach = layerReach(layer);
    const outline = isCells(layer)
      ? [[-1, -1], [1, -1], [1, 1], [-1, 1]].map((point) => point.map((value) => value * reach))
      : Array.from({ length: 48 }, (_, k) => [Math.cos((k * Math.PI) / 24), Math.sin((k * Math.PI) / 24)]
          .map((value) => value * reach));
    const ends = layers.length > 12 ? [i === 0 ? depths[i][0] : depths[i][1]] : depths[i];
    return ends.map((z) => outline.map(([x, y]) => [z - middle, y, x]));
  });
}

// ---- The view ------------------------------------------------------------------------------

/** Showers on a canvas, one at a time, that can be turned, zoomed and pointed at. */
class ShowerView {
  /**
   * @param events All showers that may be shown: they share the scale of energies and the place.
   * @param actions {turning(on), step(by)}: called when the view is turned or a key asks for another shower.
   */
  constructor(canvas, detector, events, actions) {
    this.canvas = canvas;
    this.layers = detector.layers;
    this.actions = actions;
    this.depths = layerDepths(this.layers);
    this.home = { yaw: -0.62, pitch: 0.32, zoom: 1 };
    Object.assign(this, this.home);
    this.turning = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.visible = false;
    this.drawn = []; // faces of the last picture, far to near, for pointing
    const [start, end] = [this.depths[0][0], this.depths.at(-1)[1]];
    this.middle = (start + end) / 2;
    this.entry = start - this.middle;
    this.high = Math.max(...events.map((event) => event.deposits[0] ?? 0)) || 1;
    const least = Math.min(...events.map((event) => event.deposits.at(-1) ?? this.high / 10));
    this.low = Math.max(least, this.high * 1e-5);
    this.frames = layerFrames(this.layers, this.depths, this.middle);
    this.reach = Math.max(...events.map((event) => this.reachOf(this.makeSolids(event))));
    this.rulers = makeRulers(this.layers, this.depths, this.middle, this.reach);
    this.radius = Math.hypot((end - start) / 2, this.reach, this.reach);
    this.cut = 0;
    this.solids = [];
    this.listen();
    actions.turning(this.turning);
  }

  /** Show a shower; the view stays. */
  show(event) {
    this.solids = this.makeSolids(event);
    this.draw();
  }

  /** Share of the logarithmic scale at a deposit in MeV. */
  level(deposit) {
    return Math.max(0, Math.log(deposit / this.low) / Math.log(this.high / this.low || 2));
  }

  /** Deposit in MeV at a share of the logarithmic scale. */
  depositAt(level) {
    return this.low * (this.high / this.low) ** level;
  }

  /** Half width and height that hold a shower: wide readouts are mostly empty. */
  reachOf(solids) {
    const reach = Math.max(...this.layers.map(layerReach));
    const far = solids.filter((solid) => solid.level > 0.3)
      .map((solid) => Math.max(Math.abs(solid.centre[1]), Math.abs(solid.centre[2])));
    return Math.min(reach, Math.max(0.15 * reach, 1.2 * Math.max(0, ...far)));
  }

  makeSolids(event) {
    const starts = [0];
    for (const layer of this.layers) starts.push(starts.at(-1) + countCells(layer));
    return event.cells.flatMap((cell, k) => {
      const layer = starts.findLastIndex((start) => start <= cell);
      const index = cell - starts[layer];
      const deposit = event.deposits[k];
      const level = this.level(deposit);
      const size = 0.25 + 0.72 * level;
      const [front, back] = this.depths[layer];
      const inset = ((back - front) / 2) * (1 - size) * 0.8;
      return cellOutlines(this.layers[layer], index, size).map((outline) => ({
        ...makePrism(outline, [front + inset, back - inset], this.middle),
        rgb: sequential(level), level, deposit, layer, index,
      }));
    });
  }

  /** Turn a point of the scene; returns [right, up, towards the viewer]. */
  rotate([z, y, x]) {
    const [cosYaw, sinYaw] = [Math.cos(this.yaw), Math.sin(this.yaw)];
    const [cosPitch, sinPitch] = [Math.cos(this.pitch), Math.sin(this.pitch)];
    const [right, near] = [z * cosYaw + x * sinYaw, x * cosYaw - z * sinYaw];
    return [right, y * cosPitch - near * sinPitch, y * sinPitch + near * cosPitch];
  }

  /** Put a point of the scene on the canvas. */
  project(point) {
    const [right, up, near] = this.rotate(point);
    const perspective = 1 / (1 - near / (4.5 * this.radius));
    const scale = this.scale * perspective;
    return [this.width / 2 + right * scale, this.height / 2 - up * scale];
  }

  draw() {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    canvas.width = this.width * ratio;
    canvas.height = this.height * ratio;
    this.scale = (this.zoom * Math.min(0.38 * this.width, 0.54 * this.height)) / this.radius;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.drawFrames(context, colour("--line"));
    drawRulers(context, this.rulers, (point) => this.project(point), colour("--muted"));
    this.drawParticle(context, colour("--showers"));
    this.drawSolids(context);
  }

  drawFrames(context, colour) {
    context.strokeStyle = colour;
    context.lineWidth = 1;
    for (const frame of this.frames) {
      trace(context, frame.map((point) => this.project(point)));
      context.stroke();
    }
  }

  /** The incoming particle: an arrow that ends at the front face. */
  drawParticle(context, colour) {
    const [tip, tail] = [this.entry, this.entry - 0.5 * this.radius].map((z) => this.project([z, 0, 0]));
    const angle = Math.atan2(tip[1] - tail[1], tip[0] - tail[0]);
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 1.8;
    context.beginPath();
    context.moveTo(...tail);
    context.lineTo(...tip);
    context.stroke();
    trace(context, [0, 2.75, -2.75].map((turn, k) => {
      const length = k === 0 ? 0 : 10;
      return [tip[0] + length * Math.cos(angle + turn), tip[1] + length * Math.sin(angle + turn)];
    }));
    context.fill();
  }

  /** Far solids first; of each solid the faces that look at the viewer. */
  drawSolids(context) {
    const shown = this.solids.filter((solid) => solid.level >= this.cut)
      .map((solid) => ({ solid, near: this.rotate(solid.centre)[2] }))
      .sort((a, b) => a.near - b.near);
    this.drawn = [];
    context.lineWidth = 0.6;
    for (const { solid } of shown) {
      const alpha = 0.16 + 0.74 * solid.level ** 1.5;
      for (const face of solid.faces) this.drawFace(context, solid, face, alpha);
    }
  }

  drawFace(context, solid, face, alpha) {
    const points = face.map((point) => this.project(point));
    const [centre, middle] = [this.project(solid.centre), meanPoint(points)];
    const shade = this.faceShade(solid, face);
    if (shade <= 0 && Math.hypot(centre[0] - middle[0], centre[1] - middle[1]) > 0.01) return;
    trace(context, points);
    context.fillStyle = `rgb(${blend([0, 0, 0], solid.rgb, 0.72 + 0.28 * Math.max(0, shade)).join(" ")} / ${alpha})`;
    context.fill();
    context.strokeStyle = `rgb(${blend(solid.rgb, [0, 0, 0], 0.35).join(" ")} / ${alpha * 0.8})`;
    context.stroke();
    this.drawn.push({ points, solid });
  }

  /** Cosine between a face's outward normal and the line of sight. */
  faceShade(solid, face) {
    const outward = [0, 1, 2].map((k) =>
      face.reduce((sum, point) => sum + point[k], 0) / face.length - solid.centre[k]);
    const edge = (a, b) => [0, 1, 2].map((k) => face[b][k] - face[a][k]);
    const [u, v] = [edge(0, 1), edge(1, 2)];
    const normal = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    const length = Math.hypot(...normal) || 1;
    const sign = Math.sign(normal.reduce((sum, value, k) => sum + value * outward[k], 0));
    return (sign * this.rotate(normal)[2]) / length;
  }

  /** The solid under a point of the canvas, if there is one. */
  solidAt(x, y) {
    return this.drawn.findLast(({ points }) => isInside(points, x, y))?.solid ?? null;
  }

  // ---- Turning and zooming ----

  setTurning(turning) {
    if (this.turning === turning) return;
    this.turning = turning;
    this.actions.turning(turning);
    this.run();
  }

  turn(yaw, pitch) {
    this.setTurning(false);
    this.yaw += yaw;
    this.pitch = Math.min(1.5, Math.max(-1.5, this.pitch + pitch));
    this.draw();
  }

  magnify(factor) {
    this.setTurning(false);
    this.zoom = Math.min(30, Math.max(0.4, this.zoom * factor));
    this.draw();
  }

  setCut(level) {
    this.cut = level;
    this.draw();
  }

  /** Turn slowly while the canvas is on the screen, until somebody touches it. */
  run() {
    if (this.frame || !this.turning || !this.visible) return;
    let before = performance.now();
    const step = (now) => {
      this.frame = 0;
      if (!this.turning || !this.visible) return;
      this.yaw += (now - before) * 0.00012;
      before = now;
      this.draw();
      this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  listen() {
    const { canvas } = this;
    new ResizeObserver(() => this.draw()).observe(canvas);
    new IntersectionObserver(([entry]) => {
      this.visible = entry.isIntersecting;
      this.run();
    }).observe(canvas);
    const pointers = new Map();
    const spread = () => {
      const [a, b] = [...pointers.values()];
      return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    };
    canvas.addEventListener("pointerdown", (event) => {
      pointers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
      this.setTurning(false);
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const before = pointers.size === 2 ? spread() : 0;
      pointers.set(event.pointerId, event);
      if (pointers.size === 2) this.magnify(spread() / (before || 1));
      else this.turn((event.clientX - last.clientX) * 0.008, (event.clientY - last.clientY) * 0.008);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
    }
    // The wheel scrolls the page until the picture has been clicked.
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      this.magnify(Math.exp(-event.deltaY * 0.0015));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  onKey(event) {
    const actions = {
      ArrowLeft: () => this.turn(-0.1, 0),
      ArrowRight: () => this.turn(0.1, 0),
      ArrowUp: () => this.turn(0, -0.1),
      ArrowDown: () => this.turn(0, 0.1),
      "+": () => this.magnify(1.2),
      "=": () => this.magnify(1.2),
      "-": () => this.magnify(1 / 1.2),
      Home: () => { Object.assign(this, this.home); this.draw(); },
      " ": () => this.setTurning(!this.turning),
      n: () => this.actions.step(1),
      p: () => this.actions.step(-1),
    };
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  }
}

function trace(context, points) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
}

function meanPoint(points) {
  return [0, 1].map((k) => points.reduce((sum, point) => sum + point[k], 0) / points.length);
}

/** Whether a polygon holds a point (even-odd rule). */
function isInside(points, x, y) {
  let inside = false;
  points.forEach(([ax, ay], i) => {
    const [bx, by] = points[(i + 1) % points.length];
    if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) inside = !inside;
  });
  return inside;
}
