"""Loading artefacts and making showers with them, without PyTorch."""

from caloforge.runtime.artefacts import (
    artefact_names,
    best_artefact,
    find_artefact,
    load,
    load_card,
)
from caloforge.runtime.card import Card, card_schema
from caloforge.runtime.generate import generate
from caloforge.runtime.generator import Generator

__all__ = [
    "Card",
    "Generator",
    "artefact_names",
    "best_artefact",
    "card_schema",
    "find_artefact",
    "generate",
    "load",
    "load_card",
]
