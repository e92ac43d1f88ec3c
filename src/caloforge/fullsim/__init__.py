"""The truth: Geant4 11.4, through the package calzone."""

from caloforge.fullsim.data import (
    DataLibrary,
    data_directory,
    download_data,
    download_size,
    missing_datasets,
)
from caloforge.fullsim.physics import PhysicsSettings
from caloforge.fullsim.simulate import simulate
from caloforge.fullsim.source import Geant4Source
from caloforge.incident.beam import Beam

__all__ = [
    "Beam",
    "DataLibrary",
    "Geant4Source",
    "PhysicsSettings",
    "data_directory",
    "download_data",
    "download_size",
    "missing_datasets",
    "simulate",
]
