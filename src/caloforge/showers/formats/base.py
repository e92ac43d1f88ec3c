"""What every file format of showers has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import FileFormatError
from caloforge.showers.container import Showers
from caloforge.showers.fields import OPTIONAL, FormatName

__all__ = ["Format"]

Arrays = dict[str, NDArray[Any]]


class Format(ABC):
    """How showers are laid out in an HDF5 file.

    A format is a singleton without state; its methods take the open file.
    """

    name: ClassVar[FormatName]
    energy_key: ClassVar[str]
    energy_in_gev: ClassVar[float]
    """One unit of the file's energies in GeV."""

    @abstractmethod
    def deposit_keys(self, file: Mapping[str, h5py.Dataset]) -> list[str]:
        """Keys of the datasets that hold the deposits; empty where it is not this format."""

    @abstractmethod
    def guess_detector(self, file: Mapping[str, h5py.Dataset]) -> Detector | None:
        """The only shipped detector whose shape fits, or None."""

    @abstractmethod
    def shapes(self, detector: Detector) -> dict[str, tuple[int, ...]]:
        """Shape of one shower in each dataset of deposits.

        Raises:
            DetectorError: The detector cannot be written in this format.
        """

    @abstractmethod
    def split(self, detector: Detector, deposits: NDArray[np.float32]) -> Arrays:
        """Deposits of shape (N, n_cells) as the datasets of the file."""

    def arrays(self, showers: Showers) -> Arrays:
        """All that is written of some showers, by dataset."""
        energy = (showers.energy / self.energy_in_gev).reshape(-1, 1)
        extra = {
            key: np.asarray(value, dtype=field.disk)
            for key, field in OPTIONAL.items()
            if (value := getattr(showers, key)) is not None
        }
        return {self.energy_key: energy, **self.split(showers.detector, showers.deposits), **extra}

    def energies(self, file: Mapping[str, h5py.Dataset], rows: slice) -> NDArray[np.float64]:
        """Incident energies: shape (N,), GeV."""
        values = np.asarray(file[self.energy_key][rows], dtype=np.float64)
        return values.reshape(-1) * self.energy_in_gev

    def deposits(
        self, file: Mapping[str, h5py.Dataset], detector: Detector, rows: slice
    ) -> NDArray[np.float32]:
        """Deposits: shape (N, n_cells), MeV."""
        keys = self.shapes(detector)
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            parts = [np.asarray(file[key][rows], dtype=np.float32) for key in keys]
        flat = [part.reshape(len(part), int(np.prod(part.shape[1:]))) for part in parts]
        return np.concatenate(flat, axis=1)

    def check_types(self, file: Mapping[str, h5py.Dataset], where: str) -> None:
        """Refuse what is no dataset of numbers.

        Raises:
            FileFormatError: A dataset is a group or has a wrong type.
        """
        for key in (self.energy_key, *self.deposit_keys(file), *OPTIONAL):
            whole = key in OPTIONAL and np.issubdtype(OPTIONAL[key].disk, np.integer)
            kinds, words = ("iu", "whole numbers") if whole else ("fiu", "numbers")
            if key in file and not (
                isinstance(file[key], h5py.Dataset) and file[key].dtype.kind in kinds
            ):
                msg = f"file {where}: {key!r} must be a dataset of {words}"
                raise FileFormatError(msg)

    def check(self, file: Mapping[str, h5py.Dataset], detector: Detector, where: str) -> int:
        """Number of showers, once all datasets have the right shapes.

        Raises:
            FileFormatError: A dataset is missing or has a wrong shape.
        """
        expected: dict[str, tuple[int, ...]] = {self.energy_key: (1,), **self.shapes(detector)}
        expected |= {key: each.shape(detector) for key, each in OPTIONAL.items() if key in file}
        count = None
        for key, shape in expected.items():
            if key not in file:
                msg = f"file {where}: the dataset {key!r} is missing"
                raise FileFormatError(msg)
            dataset = file[key]
            count = dataset.shape[0] if count is None and dataset.ndim else count
            flat = key == self.energy_key and dataset.shape == (count,)
            if dataset.shape != (count, *shape) and not flat:
                msg = (
                    f"file {where}: {key!r} has shape {dataset.shape}, "
                    f"must be {(count, *shape)} for detector {detector.name!r}"
                )
                raise FileFormatError(msg)
        return int(count or 0)
