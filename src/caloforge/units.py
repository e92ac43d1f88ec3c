"""Units: incident energies are in GeV, deposits in MeV, lengths in mm."""

from __future__ import annotations

__all__ = ["MEV_PER_GEV"]

MEV_PER_GEV = 1000.0
