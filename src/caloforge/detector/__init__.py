"""What is hit: the readout of a calorimeter and the plates that it is made of."""

from caloforge.detector.detector import Detector
from caloforge.detector.files import (
    detector_from_json,
    detector_names,
    detector_to_json,
    load_detector,
)
from caloforge.detector.hits import Hits
from caloforge.detector.layers import CylindricalLayer, Layer, RectangularLayer
from caloforge.detector.stack import Material, Plate, Stack

__all__ = [
    "CylindricalLayer",
    "Detector",
    "Hits",
    "Layer",
    "Material",
    "Plate",
    "RectangularLayer",
    "Stack",
    "detector_from_json",
    "detector_names",
    "detector_to_json",
    "load_detector",
]
