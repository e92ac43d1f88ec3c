"""What caloforge raises.

Every error that a user can cause is a :class:`CaloforgeError`. Its message is one sentence that
names the argument or file, what was got, what is legal and what to do; the command line prints
that sentence and exits with code 2.
"""

from __future__ import annotations

__all__ = [
    "ArtefactError",
    "CaloforgeError",
    "ConfigError",
    "DetectorError",
    "EnergyError",
    "ExportError",
    "FileFormatError",
    "Geant4DataError",
    "NotInstalledError",
    "OutputError",
    "ParticleError",
    "ShowersError",
    "TrainingError",
    "WorkerError",
]


class CaloforgeError(ValueError):
    """Base of all errors that bad input or usage can cause."""


class DetectorError(CaloforgeError):
    """A detector is unknown, its file is wrong, or two detectors do not fit together."""


class ShowersError(CaloforgeError):
    """Arrays of showers have a wrong shape or hold values that no shower can have."""


class FileFormatError(CaloforgeError):
    """A file is missing, damaged, or not in the format that it should be in."""


class OutputError(CaloforgeError):
    """An output cannot be written: no folder, no permission, no space, in use, or in the way."""


class EnergyError(CaloforgeError):
    """An energy or a spectrum of energies is malformed or out of range."""


class ParticleError(CaloforgeError):
    """A particle is unknown, or not one that a generator was made for."""


class ArtefactError(CaloforgeError):
    """An artefact is unknown, incomplete, or does not fit its card."""


class NotInstalledError(CaloforgeError, AttributeError):
    """Something needs a package that is not installed.

    What a module offers under a name is not there then: so :func:`help` and :func:`dir` go on.
    """


class Geant4DataError(CaloforgeError):
    """Geant4 or its data tables are missing or incomplete."""


class ConfigError(CaloforgeError):
    """A setting of a system or of its training is unknown or not legal."""


class TrainingError(CaloforgeError):
    """A training cannot start, or cannot go on: a loss is not finite, a generator collapsed."""


class ExportError(CaloforgeError):
    """A network has no form in a format, or the file does not reproduce it."""


class WorkerError(CaloforgeError):
    """A process that works for this one died: it was killed, memory ran out, Geant4 gave up."""
