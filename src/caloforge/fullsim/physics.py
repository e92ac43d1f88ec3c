"""Which physics Geant4 simulates, and how finely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from caloforge.errors import CaloforgeError

__all__ = ["EmPhysics", "HadronicPhysics", "PhysicsSettings"]

EmPhysics = Literal[
    "standard", "option1", "option2", "option3", "option4", "livermore", "penelope", "dna"
]
HadronicPhysics = Literal[
    "FTFP_BERT", "FTFP_BERT_HP", "QGSP_BERT", "QGSP_BERT_HP", "QGSP_BIC", "QGSP_BIC_HP", "none"
]


@dataclass(frozen=True)
class PhysicsSettings:
    """Physics list and production cut; the defaults are those of the CaloGAN authors.

    Attributes:
        em: Electromagnetic physics. ``"option1"`` (multiple scattering that takes longer steps,
            ``EMV`` in the names of Geant4's lists) is the fast one. ``"standard"`` and the options
            1 and 2 run with reduced data tables, the others need the full ones.
        hadronic: Hadronic physics; ``"none"`` leaves hadrons with ionisation and decay only.
            Lists ending in ``_HP`` transport neutrons below 20 MeV with evaluated data.
        cut_mm: Production cut, mm: secondaries with a shorter range are not tracked, their energy
            is left where they would have been made.

    Raises:
        CaloforgeError: A name is unknown or the cut is not positive.
    """

    em: EmPhysics = "standard"
    hadronic: HadronicPhysics = "FTFP_BERT"
    cut_mm: float = 0.7

    def __post_init__(self) -> None:
        for what, got, legal in (
            ("em", self.em, get_args(EmPhysics)),
            ("hadronic", self.hadronic, get_args(HadronicPhysics)),
        ):
            if got not in legal:
                msg = f"{what}: there is no physics list {got!r}, must be one of {', '.join(legal)}"
                raise CaloforgeError(msg)
        if not (np.isfinite(self.cut_mm) and self.cut_mm > 0):
            msg = f"cut: got {self.cut_mm} mm, must be positive and finite"
            raise CaloforgeError(msg)

    def options(self) -> dict[str, str | float]:
        """The settings as options of the command line, without what is the usual.

        Examples:
            >>> PhysicsSettings("option1").options()
            {'em': 'option1'}
        """
        usual, said = PhysicsSettings(), {"physics_list": "hadronic", "em": "em", "cut": "cut_mm"}
        return {
            option: getattr(self, name)
            for option, name in said.items()
            if getattr(self, name) != getattr(usual, name)
        }
