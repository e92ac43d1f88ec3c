"""From a model to an artefact."""

from caloforge.export.folder import artefact_folder
from caloforge.export.parametric import train_fastcalosim

__all__ = ["artefact_folder", "train_fastcalosim"]
