"""Spectra of the cell energies."""

from __future__ import annotations

from caloforge.evaluation.distances.cells import compare_spectra
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair
from caloforge.evaluation.shown import HistogramPanel

__all__ = ["spectra_section"]

_DRAWN = 8  # all cells, and those of the first layers


def spectra_section(pair: Pair) -> Finding:
    """Distances of the spectra of cell energies, of all cells and layer by layer."""
    spectra = compare_spectra(pair.reference, pair.showers)
    names = ("all", *(f"layer_{i}" for i in range(pair.reference.detector.n_layers)))
    details = {
        name: {"separation_power": each.separation}
        for name, each in zip(names, spectra, strict=True)
    }
    headline = Headline.of(
        "separation_cells", "separation power of the cell energies", spectra[0].separation, "lower"
    )
    panels = tuple(
        HistogramPanel(
            figure="spectra",
            about="Energies of single cells, of all layers and of each of the first ones.",
            label=f"deposit / MeV, {f'cells of layer {i - 1}' if i else 'all cells'}",
            reference=each.reference,
            showers=each.showers,
            distance=each.separation.value,
            logarithmic=True,
            steep=True,
        )
        for i, each in enumerate(spectra[:_DRAWN])
    )
    return Finding(details, (headline,), panels=panels)
