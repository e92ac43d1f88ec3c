"""Invertible maps between deposits and what a network sees."""

from caloforge.preprocess.condition import Condition
from caloforge.preprocess.fractions import IncidentFractions, LayerFractions, LayerShares, Sticks
from caloforge.preprocess.scores import NormalScores

__all__ = [
    "Condition",
    "IncidentFractions",
    "LayerFractions",
    "LayerShares",
    "NormalScores",
    "Sticks",
]
