// ---- Where the energy lies, and in cells of which energy -----------------------------------

const AXES = {
  depth: ["Along the depth", "depth / mm", "E / E incident per mm / %"],
  layer: ["From layer to layer", "layer", "E / E incident / %"],
  x: ["Across, along x", "x / mm", "E / E incident per mm / %"],
  y: ["Across, along y", "y / mm", "E / E incident per mm / %"],
  r: ["Away from the axis", "r / mm", "E / E incident per mm² / %"],
};

/** Put a histogram into a grid. */
function addPlot(grid, histogram, options) {
  const holder = grid.appendChild(document.createElement("div"));
  // The holder has a width only once it is in the page.
  queueMicrotask(() => mount(holder, (width) =>
    drawHistogram(histogram, width, { name: escapeHtml(other), ...options })));
}

function showProfiles() {
  const shown = manyLayers ? [view.layer] : layers.map((_, i) => i);
  const [whole, ...across] = page.profiles;
  element("profiles-section").hidden = !whole;
  if (!whole) return;
  const options = (kind) => ({ label: AXES[kind][1], yLabel: AXES[kind][2], factor: 100 });
  element("depth").replaceChildren();
  addPlot(element("depth"), whole, { title: AXES[whole.kind][0], ...options(whole.kind) });
  const grid = element("profiles");
  grid.replaceChildren();
  // Layers side by side, one axis below the other.
  for (const kind of ["y", "x", "r"]) {
    for (const profile of across.filter((item) => item.kind === kind && shown.includes(item.layer))) {
      addPlot(grid, profile, { title: `${AXES[kind][0]}, layer ${profile.layer}`, ...options(kind), yLog: true });
    }
  }
  const summed = { y: "over x", x: "over y", r: "around the axis" };
  const kinds = Object.keys(summed).filter((kind) => across.some((item) => item.kind === kind));
  const depth = whole.kind === "depth" ? "per mm of depth" : "layer by layer";
  setText("profiles-caption", `Mean share of the incident energy, ${depth}, and across each ` +
    `layer (summed ${kinds.map((kind) => summed[kind]).join(" or ")}), where the particle enters at 0. ` +
    describeMissing(whole));
}

/** What there is to say where the reference was summed up before these curves were kept. */
function describeMissing(profile) {
  if (!page.reference || profile.reference) return "";
  return `The ${other} showers to compare with were summed up before caloforge kept these curves: these showers ` +
    "are shown alone.";
}

function showSpectra() {
  const shown = manyLayers ? [view.layer] : layers.map((_, i) => i);
  element("spectra-section").hidden = page.spectra.length === 0;
  if (!page.spectra.length) return;
  element("spectra").replaceChildren();
  for (const layer of shown) {
    addPlot(element("spectra"), page.spectra[layer], { title: layerTitle(layer), label: "deposit of a cell / MeV",
      yLabel: "cells per shower and bin", xLog: true, yLog: true });
  }
  setText("spectra-caption", "How many cells of a shower have how much energy, ten bins per decade; cells without " +
    "any deposit are left out. " + describeMissing(page.spectra[0]));
}
