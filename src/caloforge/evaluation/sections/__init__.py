"""The parts of an evaluation: each looks at one sample beside the reference in its own way."""

from __future__ import annotations

from collections.abc import Mapping

from caloforge.evaluation.sections.alignment import alignment_section
from caloforge.evaluation.sections.classifiers import classifiers_section
from caloforge.evaluation.sections.conservation import conservation_section
from caloforge.evaluation.sections.energy import energy_section
from caloforge.evaluation.sections.headline import headline_section
from caloforge.evaluation.sections.images import images_section
from caloforge.evaluation.sections.manifold import manifold_section
from caloforge.evaluation.sections.memorisation import memorisation_section
from caloforge.evaluation.sections.observables import observables_section
from caloforge.evaluation.sections.pair import Finding, Pair, Section
from caloforge.evaluation.sections.spectra import spectra_section
from caloforge.evaluation.sections.tails import tails_section
from caloforge.evaluation.sections.trees import trees_section

__all__ = ["SECTIONS", "Finding", "Pair", "Section"]

SECTIONS: Mapping[str, Section] = {
    "headline": headline_section,
    "conservation": conservation_section,
    "tails": tails_section,
    "alignment": alignment_section,
    "observables": observables_section,
    "spectra": spectra_section,
    "energy": energy_section,
    "images": images_section,
    "manifold": manifold_section,
    "memorisation": memorisation_section,
    "trees": trees_section,
    "classifiers": classifiers_section,
}
"""All sections by name, in the order in which they are run."""
