"""Judging showers against Geant4."""
