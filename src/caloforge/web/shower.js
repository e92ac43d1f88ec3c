// ---- One shower after the other ------------------------------------------------------------

function showShower() {
  const canvas = element("shower");
  const samples = [{ name: ours, events: page.events }];
  if (page.reference_events.length) samples.push({ name: other, events: page.reference_events });
  const chosen = { sample: 0, event: Math.floor(page.events.length / 2) };
  const turn = element("shower-turn");
  const view3d = new ShowerView(canvas, page.detector, samples.flatMap((sample) => sample.events), {
    turning: (on) => { turn.textContent = on ? "Stop turning" : "Turn"; },
    step: (by) => step(by),
  });
  const update = () => {
    const { name, events } = samples[chosen.sample];
    const event = events[chosen.event];
    view3d.show(event);
    describeShower(event, name);
    setText("shower-which", `${format(event.energy)} GeV, ${chosen.event + 1} of ${events.length}`);
  };
  const step = (by) => {
    const count = samples[chosen.sample].events.length;
    chosen.event = (chosen.event + by + count) % count;
    update();
  };
  element("shower-previous").addEventListener("click", () => step(-1));
  element("shower-next").addEventListener("click", () => step(1));
  turn.addEventListener("click", () => view3d.setTurning(!view3d.turning));
  showSampleChoice(samples, (sample) => {
    chosen.sample = sample;
    chosen.event = Math.min(chosen.event, samples[sample].events.length - 1);
    update();
  });
  const slider = element("shower-cut");
  const cut = () => {
    const text = formatEnergy(view3d.depositAt(Number(slider.value)));
    setText("shower-cut-value", text);
    slider.setAttribute("aria-valuetext", text);
    view3d.setCut(Number(slider.value));
  };
  slider.addEventListener("input", cut);
  mount(element("shower-scale"), (width) => drawDepositBar(width, view3d.low, view3d.high, "deposit / MeV"));
  canvas.addEventListener("pointermove", (pointer) => {
    const solid = pointer.buttons ? null : view3d.solidAt(pointer.offsetX, pointer.offsetY);
    showTooltip(pointer, solid && `${formatEnergy(solid.deposit)}\nlayer ${solid.layer}, ` +
      describeCell(layers[solid.layer], solid.index));
  });
  canvas.addEventListener("pointerleave", (pointer) => showTooltip(pointer, null));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => view3d.draw());
  cut();
  update();
}

/** Buttons for whose showers are shown, where there is a choice. */
function showSampleChoice(samples, choose) {
  const group = element("shower-sample");
  group.hidden = samples.length < 2;
  group.innerHTML = samples.map(({ name }, i) =>
    `<button type="button" value="${i}" aria-pressed="${i === 0}">${escapeHtml(name)}</button>`).join("");
  group.addEventListener("click", ({ target }) => {
    if (target.tagName !== "BUTTON") return;
    for (const button of group.children) button.setAttribute("aria-pressed", String(button === target));
    choose(Number(target.value));
  });
}

function describeShower(event, name) {
  const text = `One ${formatParticle(page.particle) || "particle"} of ${format(event.energy)} GeV from ${name}, which ` +
    `enters from the arrow's side and leaves ${formatEnergy(event.deposit)} in ${format(event.occupied, 6)} cells.`;
  element("shower").setAttribute("aria-label", text);
  const depth = layers[0].depth ? "its true position" :
    "its true position across, with the layers, whose depths are not known, equally spaced";
  setText("shower-caption", `${text} Each cell is a box at ${depth}; the larger and brighter, the more ` +
    "energy, on a logarithmic scale that all showers share; lines frame the layers. Drag to turn, click and use the " +
    "wheel or pinch to zoom, point at a cell to read it; with the keyboard: arrows, + and −, Home, space, " +
    "n and p for the next and the previous shower.");
}
