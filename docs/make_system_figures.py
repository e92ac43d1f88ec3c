"""Make the figures of the pages of the trained systems: docs/images/SYSTEM-*.png.

python docs/make_system_figures.py ../shared
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np

import caloforge
from caloforge.evaluation import evaluate, load_reference
from caloforge.web.figures import save
from caloforge.web.report import write_report

mpl.use("Agg")
from matplotlib.figure import Figure

IMAGES = Path(__file__).parent / "images"
SYSTEMS = ("calogan", "atlas-vae")
PARTICLES = {"e+": "eplus.h5", "gamma": "gamma.h5", "pi+": "piplus.h5"}
SHOWN = ("images", "neighbours", "widths", "depths")  # of e+
ENERGIES = (1.0, 25.0, 50.0, 100.0, 150.0)  # GeV; the last is beyond the training
COUNT, ASKED = 5000, 2000


def report_figures(system: str, data: Path, scratch: Path) -> None:
    """Figures of the judge: e+ of 1 to 100 GeV against the test rows."""
    sample = scratch / f"{system}-eplus.h5"
    caloforge.generate(sample, model=system, particle="e+", energy="1:100", count=COUNT, seed=7)
    evaluation, shown = evaluate(load_reference(data / PARTICLES["e+"], seed=1), [sample])
    detector = caloforge.load(system, "e+").detector
    write_report(scratch / system, evaluation, shown, detector)
    for name in SHOWN:
        found = scratch / system / f"{name}-0.png"
        if not found.exists():
            found = found.with_name(f"{name}.png")
        shutil.copy(found, IMAGES / f"{system}-{name}.png")


def energy_figure(system: str) -> Figure:
    """Deposited energy for incident energies that were asked for (CaloGAN paper, figure 13)."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    for axis, particle in zip(figure.subplots(1, len(PARTICLES)), PARTICLES, strict=True):
        generator = caloforge.load(system, particle)
        for energy in ENERGIES:
            showers = generator.sample(np.full(ASKED, energy), seed=7, extrapolate=True)
            total = showers.deposits.sum(axis=1) / 1000
            edges = np.linspace(0, 1.3 * max(ENERGIES), 131)
            (line,) = axis.plot([], [])
            axis.stairs(np.histogram(total, edges)[0], edges, color=line.get_color())
            axis.axvline(energy, color=line.get_color(), linewidth=0.8, linestyle=":")
            line.set_label(f"{energy:g} GeV")
        axis.set(title=particle, xlabel="deposited energy / GeV", yscale="log", ylim=(0.7, None))
    axis.legend(fontsize=8, title="incident")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder with data/")
    data = parser.parse_args().shared / "data"
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for system in SYSTEMS:
            report_figures(system, data, scratch)
            picture, _ = save(energy_figure(system), scratch, f"{system}-conditional")
            shutil.copy(picture, IMAGES)
            print(system, "done", flush=True)


if __name__ == "__main__":
    main()
