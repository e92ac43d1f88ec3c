"""Spectra of the cell energies."""

from __future__ import annotations

from dataclasses import asdict

from caloforge.evaluation.distances.cells import (
    compare_spectra,
)
from caloforge.evaluation.results import Headline
from caloforge.evaluation.sections.pair import Finding, Pair

__all__ = ["spectra_section"]


def spectra_section(pair: Pair) -> Finding:
    """Distances of the spectra of cell energies, of all cells and layer by layer."""
    spectra = compare_spectra(pair.reference, pair.showers)
    names = ("all", *(f"layer_{i}" for i in range(pair.reference.detector.n_layers)))
    details = {
        name: {"separation_power": asdict(each.separation)}
        for name, each in zip(names, spectra, strict=True)
    }
    headline = Headline(
        name="separation_cells",
        label="separation power of the cell energies",
        value=spectra[0].separation.value,
        error=spectra[0].separation.error,
        better="lower",
    )
    return Finding(details, (headline,), (), {"spectra": spectra})
