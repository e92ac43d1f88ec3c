"""What enters the detector: particles, their energies, where and how they enter."""

from caloforge.incident.beam import Beam
from caloforge.incident.gun import Gun
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum, parse_range

__all__ = ["Beam", "Gun", "Incident", "Spectrum", "parse_range"]
