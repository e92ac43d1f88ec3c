"""The truth: Geant4 11.4, through the package calzone."""

from caloforge.fullsim.beam import Beam
from caloforge.fullsim.data import (
    Dataset,
    data_directory,
    download_data,
    download_size,
    missing_datasets,
)
from caloforge.fullsim.physics import PhysicsSettings
from caloforge.fullsim.production import simulate
from caloforge.fullsim.simulation import Geant4Source

__all__ = [
    "Beam",
    "Dataset",
    "Geant4Source",
    "PhysicsSettings",
    "data_directory",
    "download_data",
    "download_size",
    "missing_datasets",
    "simulate",
]
