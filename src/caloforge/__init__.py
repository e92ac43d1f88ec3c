"""Calorimeter showers: Geant4, fast generators, and the judge between them, in one package."""

from __future__ import annotations

__version__ = "0.1.0"
