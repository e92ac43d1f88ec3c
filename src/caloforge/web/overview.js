// ---- The page ------------------------------------------------------------------------------

const page = JSON.parse(document.getElementById("data").textContent);
const layers = page.detector.layers;
const starts = layers.reduce((all, layer) => [...all, all.at(-1) + countCells(layer)], [0]);
// More layers than this are looked at one by one.
const manyLayers = layers.length > 6;
const view = { layer: 0, zoom: 1 };
const ours = page.run.generator;
const other = page.reference?.name ?? "Geant4";

const element = (id) => document.getElementById(id);
const setText = (id, text) => { element(id).textContent = text; };

function showHeader() {
  const { run, showers, reference, detector } = page;
  setText("title", `${format(showers.count, 7)} ${formatParticle(page.particle)} showers`.replace("  ", " "));
  const about = detector.description ? ` (${detector.description})` : "";
  setText("lead", `${formatSpan(showers.span)} in the detector ${detector.name}${about}, ` +
    (run.generator === run.file ? `from the file ${run.file}.`
      : `made by ${run.generator}${run.version ? ` ${run.version}` : ""}.`));
  const tiles = [];
  const [seconds, processes, geant4] = [run.seconds_per_shower, run.processes, page.geant4];
  if (seconds) {
    const where = `${processes} process${processes === 1 ? "" : "es"}, start-up included`;
    tiles.push(["Time per shower", formatTime(seconds), where]);
    tiles.push(["Showers per second", format(1 / seconds), run.machine]);
  }
  if (geant4) tiles.push(["Geant4's time per shower", formatTime(geant4.seconds),
    `one core of ${geant4.machine}, ${geant4.physics}`]);
  if (seconds && geant4) {
    tiles.push(["Faster than Geant4 by", `${format(geant4.seconds / (seconds * processes), 2)} ×`,
      `core for core, Geant4 timed on ${geant4.machine}`]);
  }
  element("tiles").innerHTML = tiles.map(([name, value, detail]) =>
    `<div><dt>${name}</dt><dd>${value}<small>${escapeHtml(detail)}</small></dd></div>`).join("");
  element("notes").innerHTML = page.notes.map((note) => `<p>${escapeHtml(note)}</p>`).join("");
  element("notes").hidden = page.notes.length === 0;
  element("legend").innerHTML =
    `<span><i class="is-showers"></i>${escapeHtml(ours)}: ${format(showers.count, 7)} showers, ${formatSpan(showers.span)}</span>` +
    (reference ? `<span><i class="is-reference"></i>${escapeHtml(other)}: ${format(reference.count, 7)} showers, ` +
      `${formatSpan(reference.span)}</span>` : "");
}

function showTooltip(pointer, text) {
  const tooltip = element("tooltip");
  tooltip.hidden = !text;
  if (!text) return;
  tooltip.textContent = text;
  const x = Math.min(pointer.clientX + 14, innerWidth - tooltip.offsetWidth - 8);
  tooltip.style.transform = `translate(${Math.max(4, x)}px, ${pointer.clientY + 16}px)`;
}

// ---- Response and layer fractions ----

/** What a comparison of histograms says in words. */
function describeAgreement({ chi2, showers, reference }) {
  const share = (curve) => `${format(100 * curve.outside, 2)}%`;
  const outside = reference ? `${share(showers)} of the showers (${other}: ${share(reference)})`
                            : `${share(showers)} of the showers`;
  return `${chi2 ? ` χ² is ${format(chi2[0])} in ${chi2[1]} bins.` : ""} Outside the range shown: ${outside}.`;
}

/** What is drawn of a histogram of showers: their share in each bin. */
function shareOfShowers({ edges }) {
  const binWidth = edges[1] - edges[0];
  return { factor: 100 * binWidth, yLabel: `showers per bin of ${format(binWidth, 2)} / %` };
}

function showResponse() {
  mount(element("response"), (width) => drawHistogram(page.response, width, {
    title: "Deposited over incident energy", label: "E deposited / E incident", name: escapeHtml(other),
    ...shareOfShowers(page.response),
  }));
  const drawing = page.reference ? `Line: these showers; area: ${other}, of equal integral. Bars and band: ` +
    "statistical errors; an arrowhead: the ratio lies beyond the range shown." : "Bars: statistical errors.";
  setText("response-caption", `Share of the incident energy that is left in the cells. ${drawing}` +
    describeAgreement(page.response));
  const series = (key) => Object.fromEntries(["showers", "reference"].map((sample) => [sample,
    page.energies.filter((slice) => slice[sample]?.[key]).map((slice) => ({
      x: slice[sample].energy, y: slice[sample][key][0], error: slice[sample][key][1],
    }))]));
  const [means, widths] = [series("mean"), series("resolution")];
  if (means.showers.length + means.reference.length === 0) return;
  const label = "incident energy / GeV";
  mount(element("linearity"), (width) => drawPoints(means, width, { title: "Mean response", label, xLog: true }));
  mount(element("resolution"), (width) => drawPoints(widths, width,
    { title: "Resolution: width / mean of the response", label, xLog: true, fromZero: true }));
  setText("energies-caption", "Mean of the response, and half of its central 68% interval over that mean, in " +
    "slices of incident energy (five per decade, at least 20 showers in each). " +
    (page.reference ? `Full: these showers; open: ${other}, not weighted.` : ""));
}

function layerTitle(i) {
  const depth = layers[i].depth;
  return `Layer ${i}` + (depth ? `, ${format(depth[0], 4)}–${format(depth[1], 4)} mm deep` : "");
}

function showFractions() {
  const shown = manyLayers ? [view.layer] : layers.map((_, i) => i);
  element("fractions").replaceChildren(...shown.map((i) => {
    const holder = document.createElement("div");
    // The holder has a width only once it is in the page.
    queueMicrotask(() => mount(holder, (width) => drawHistogram(page.fractions[i], width, {
      title: layerTitle(i), label: "E layer / E deposited", name: escapeHtml(other),
      ...shareOfShowers(page.fractions[i]),
    })));
    return holder;
  }));
  const agreement = shown.map((i) => {
    const chi2 = page.fractions[i].chi2;
    return chi2 && `${format(chi2[0])} in ${chi2[1]} bins (layer ${i})`;
  }).filter(Boolean);
  setText("fractions-caption", "Share of each layer in the deposited energy" +
    (agreement.length ? `. χ²: ${agreement.join(", ")}.` : "."));
}

// ---- Mean images ----

function showImages() {
  const samples = page.reference ? [page.reference, page.showers] : [page.showers];
  const colours = makeColourScales(samples);
  const shown = manyLayers ? [view.layer] : layers.map((_, i) => i);
  element("images").replaceChildren(...shown.map((i) => makeImageRow(i, samples, colours)));
  element("scales").replaceChildren();
  const addScale = (draw) => {
    const holder = element("scales").appendChild(document.createElement("div"));
    mount(holder, draw);
  };
  addScale((width) => drawDepositBar(width, colours.low, colours.high, "mean deposit per cell / MeV"));
  if (page.reference) addScale((width) => drawRatioBar(width, escapeHtml(other)));
}

/** The reference, these showers and their ratio, for one layer. */
function makeImageRow(i, samples, colours) {
  const layer = layers[i];
  const images = samples.map((sample) => sample.image.slice(starts[i], starts[i + 1]));
  const panels = images.map((image, k) => ({
    name: samples[k] === page.showers ? ours : other, colours: image.map(colours.deposit),
  }));
  if (page.reference) {
    const ratio = images[1].map((value, k) => (images[0][k] > 0 ? value / images[0][k] : 0));
    panels.push({ name: "Ratio", colours: ratio.map(colours.ratio) });
  }
  const size = isCells(layer) ? `${layer.x.length - 1} × ${layer.y.length - 1} cells (x × y)`
                              : `${layer.sectors} × ${layer.r.length - 1} voxels (α × r)`;
  const row = document.createElement("div");
  row.innerHTML = `<h3>${layerTitle(i)} <small>${size}, ${format(2 * layerReach(layer) / view.zoom)} mm across` +
    `</small></h3><div class="triple${panels.length === 1 ? " is-single" : ""}">` +
    panels.map((panel) => `<figure><figcaption>${escapeHtml(panel.name)}</figcaption><div></div></figure>`).join("") +
    "</div>";
  row.querySelectorAll("figure > div").forEach((holder, k) => queueMicrotask(() => mount(holder,
    (width) => drawImage(layer, panels[k].colours, width, view.zoom, `${layerTitle(i)}: ${panels[k].name}`))));
  row.addEventListener("pointermove", (pointer) => {
    const cell = pointer.target.dataset.cell;
    showTooltip(pointer, cell && describeDeposits(layer, Number(cell), images));
  });
  row.addEventListener("pointerleave", (pointer) => showTooltip(pointer, null));
  return row;
}

function describeDeposits(layer, cell, images) {
  const place = describeCell(layer, cell);
  const values = images.map((image) => image[cell]);
  if (values.length === 1) return `${place}\n${formatEnergy(values[0])}`;
  const ratio = values[0] > 0 ? `\nratio ${format(values[1] / values[0])}` : "";
  return `${place}\n${other} ${formatEnergy(values[0])}\nthese showers ${formatEnergy(values[1])}${ratio}`;
}

/** Rings are finest at the axis, where the energy is: as near as still shows ten of them. */
function firstZoom() {
  const rings = layers.map((layer) => layer.r ?? []).reduce((a, b) => (b.length > a.length ? b : a), []);
  return [10, 5, 2].find((zoom) => rings.filter((r) => r * zoom <= rings.at(-1)).length > 10) ?? 1;
}

function showImageControls() {
  view.zoom = firstZoom();
  const zoom = element("zoom");
  zoom.innerHTML = "<span>Magnify</span>" + [1, 2, 5, 10].map((factor) =>
    `<button type="button" value="${factor}" aria-pressed="${factor === view.zoom}">${factor} ×</button>`).join("");
  zoom.addEventListener("click", ({ target }) => {
    if (target.tagName !== "BUTTON") return;
    view.zoom = Number(target.value);
    for (const button of zoom.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === target));
    }
    showImages();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showImages);
  setText("images-caption", "Mean deposit of each cell over all showers, cells drawn to scale, seen along " +
    "the incoming particle; a cell without any deposit is left empty." +
    (page.reference ? " All images share one logarithmic colour scale. Ratio: red where these showers have " +
      `more than ${other}, blue where less; far from the axis few particles fluctuate much.` : ""));
}

/** One slider for each place where a layer is chosen; they move together. */
function showLayerPickers() {
  if (!manyLayers) return;
  const pickers = document.querySelectorAll("[data-layer-picker]");
  view.layer = page.showers.means.slice(1, 1 + layers.length)
    .reduce((best, value, i, all) => (value > all[best] ? i : best), 0);
  const update = () => {
    for (const picker of pickers) {
      picker.querySelector("input").value = view.layer;
      picker.querySelector("output").textContent = view.layer;
    }
    showFractions();
    showProfiles();
    showSpectra();
    showImages();
  };
  for (const picker of pickers) {
    picker.hidden = false;
    picker.innerHTML = `<label>Layer <output></output> <input type="range" min="0" max="${layers.length - 1}"></label>`;
    picker.querySelector("input").addEventListener("input", ({ target }) => {
      view.layer = Number(target.value);
      update();
    });
  }
  update();
}

// ---- Numbers and facts ----

function showNumbers() {
  const { showers, reference } = page;
  const names = ["Response", ...layers.map((_, i) => `Fraction of layer ${i}`),
                 ...layers.map((_, i) => `Occupied cells in layer ${i}`)];
  const rows = names.map((name, i) => {
    const ours = `<td>${formatWithError(showers.means[i], showers.errors[i])}</td>`;
    if (!reference) return `<tr><th scope="row">${name}</th>${ours}</tr>`;
    const error = Math.hypot(showers.errors[i], reference.errors[i]);
    const difference = showers.means[i] - reference.means[i];
    const relative = reference.means[i] ? (100 * difference) / reference.means[i] : 0;
    const sigmas = error > 0 ? difference / error : 0;
    const far = Math.abs(sigmas) > 5 ? ' class="is-far"' : "";
    const signed = (value, text) => (value > 0 ? "+" : value < 0 ? "−" : "") + text;
    return `<tr><th scope="row">${name}</th>${ours}` +
      `<td>${formatWithError(reference.means[i], reference.errors[i])}</td>` +
      `<td>${signed(relative, `${format(Math.abs(relative), 2)}%`)}</td>` +
      `<td${far}>${signed(sigmas, `${Math.abs(sigmas).toFixed(1)} σ`)}</td></tr>`;
  });
  const heads = ["Mean over showers", escapeHtml(ours),
                 ...(reference ? [escapeHtml(other), "difference", "significance"] : [])];
  element("numbers").innerHTML = `<thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join("")}` +
    `</tr></thead><tbody>${rows.join("")}</tbody>`;
  element("numbers").parentElement.classList.toggle("is-long", manyLayers);
  setText("numbers-caption", `Means with statistical errors. A cell counts as occupied above ` +
    `${formatEnergy(page.occupied)}.` + (reference ? ` ${other} is weighted to the incident energies of these ` +
    `showers (${format(showers.compared, 7)} of them against ${format(reference.compared, 7)}); differences ` +
    "beyond 5 σ stand out." : ""));
}

function showFacts() {
  const { run } = page;
  const facts = [
    ["Generator", escapeHtml(`${run.generator} ${run.version}`)],
    ["Seed", run.seed === null ? "" : String(run.seed)],
    ["Command", run.command && `<code>${escapeHtml(run.command)}</code>`],
    ["File", escapeHtml(run.file)],
    ["Beside", page.reference ? escapeHtml(page.reference.about) : ""],
    ["Machine", escapeHtml(run.machine)],
    ["Written by", `caloforge ${escapeHtml(run.caloforge)}`],
  ];
  element("facts").innerHTML = facts.filter(([, value]) => value)
    .map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join("");
}

showHeader();
showShower();
showResponse();
showImageControls();
if (manyLayers) {
  showLayerPickers();
} else {
  showFractions();
  showProfiles();
  showSpectra();
  showImages();
}
showNumbers();
showFacts();
