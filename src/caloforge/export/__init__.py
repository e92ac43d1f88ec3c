"""From a model to an artefact."""

from caloforge.export.fastcalosim import train_fastcalosim
from caloforge.export.folder import artefact_folder

__all__ = ["artefact_folder", "train_fastcalosim"]
