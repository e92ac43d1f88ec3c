"""Spectra of incident energies, as they are written on the command line.

============== ===========================================================
``50``         every shower has 50 GeV
``1,2,4``      the energies in turn, shower after shower
``1:100``      uniform between 1 and 100 GeV
``log:1:1000`` uniform in log(E)
``file:PATH``  the energies of the showers of a file, or of a text file
               with one energy in GeV per line, in order
============== ===========================================================
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.atomic import reason
from caloforge.errors import CaloforgeError, EnergyError
from caloforge.random import Purpose, Streams

__all__ = ["Spectrum", "parse_range"]

_EXAMPLES = "50 | 1,2,4 | 1:100 | log:1:1000 | file:PATH"


@dataclass(frozen=True)
class Spectrum:
    """How the incident energies of a run are distributed.

    Attributes:
        kind: ``"list"`` (energies in turn), ``"uniform"`` or ``"log"`` (uniform in log E).
        values: The energies in GeV, or the two ends of the interval.
        text: What the user wrote.
        finite: The list is read once, from its start, and not repeated (energies of a file).
    """

    kind: Literal["list", "uniform", "log"]
    values: tuple[float, ...]
    text: str
    finite: bool = False

    @classmethod
    def parse(cls, text: str) -> Spectrum:
        """Read a spectrum as written on the command line.

        Raises:
            EnergyError: The text is malformed, an energy is not a positive finite number, or the
                file it names cannot be read.

        Examples:
            >>> Spectrum.parse("1:100").values
            (1.0, 100.0)
        """
        text = text.strip()
        if text.startswith("file:"):
            return cls._from_file(Path(text.removeprefix("file:")), text)
        if text.startswith("log:"):
            return cls._interval("log", text.removeprefix("log:"), text)
        if ":" in text:
            return cls._interval("uniform", text, text)
        return cls("list", _positive(_numbers(text.split(","), text), text), text)

    @classmethod
    def of(cls, energies: ArrayLike) -> Spectrum:
        """The given energies, one per shower.

        Args:
            energies: Shape (N,) or (N, 1), GeV.

        Raises:
            EnergyError: An energy is not a positive finite number.
        """
        values = np.asarray(energies, dtype=np.float64).ravel()
        return cls("list", _positive(tuple(values.tolist()), "energies"), "energies", finite=True)

    def describe(self) -> str:
        """What defines the spectrum, on one line: what the user wrote, and a hash of a list."""
        if self.kind != "list":
            return f"{self.kind} {self.values[0]!r}:{self.values[1]!r}"
        digest = hashlib.sha256(np.asarray(self.values, dtype="<f8").tobytes()).hexdigest()
        return f"{len(self.values)} energies, sha256 {digest}"

    @property
    def minimum(self) -> float:
        """Smallest energy, GeV."""
        return min(self.values)

    @property
    def maximum(self) -> float:
        """Largest energy, GeV."""
        return max(self.values)

    @property
    def mean(self) -> float:
        """Mean energy, GeV."""
        if self.kind == "log":
            return (self.maximum - self.minimum) / float(np.log(self.maximum / self.minimum))
        return float(np.mean(self.values))

    def sample(self, seed: int, first: int, count: int) -> NDArray[np.float64]:
        """Energies of the showers ``first`` to ``first + count`` of a run.

        Args:
            seed: Seed of the run.
            first: Index of the first shower.
            count: Number of showers.

        Returns:
            Shape (count,), GeV. The energy of a shower depends on the seed and its index alone.

        Raises:
            EnergyError: The spectrum is a finite list and has fewer energies.
        """
        if self.kind == "list":
            if self.finite and first + count > len(self.values):
                msg = (
                    f"energy: {self.text} holds {len(self.values)} energies, "
                    f"{first + count} showers were asked for; ask for at most {len(self.values)}"
                )
                raise EnergyError(msg)
            return np.take(np.asarray(self.values), np.arange(first, first + count), mode="wrap")
        u = Streams(seed, np.arange(first, first + count), Purpose.ENERGY).uniform(1)[:, 0]
        low, high = self.values
        if self.kind == "log":
            return np.clip(low * (high / low) ** u, low, high)
        return np.clip(low + (high - low) * u, low, high)

    @classmethod
    def _interval(cls, kind: Literal["uniform", "log"], interval: str, text: str) -> Spectrum:
        values = _positive(_numbers(interval.split(":"), text), text)
        if len(values) != 2 or values[0] >= values[1]:
            msg = f"energy: {text!r} must be LOW:HIGH with LOW < HIGH in GeV ({_EXAMPLES})"
            raise EnergyError(msg)
        return cls(kind, values, text)

    @classmethod
    def _from_file(cls, path: Path, text: str) -> Spectrum:
        from caloforge.showers.opening import find_files
        from caloforge.showers.samples import read_energies

        try:
            paths = find_files(path)
            if not all(each.is_file() for each in paths):
                msg = f"energy: there is no file {path}; give {_EXAMPLES}"
                raise EnergyError(msg)
            if h5py.is_hdf5(paths[0]):
                values = tuple(read_energies(paths).tolist())
            else:
                words = [word for each in paths for word in each.read_text("utf-8").split()]
                values = tuple(map(float, words))
        except OSError as error:
            msg = f"energy: {path} cannot be read: {reason(error)}"
            raise EnergyError(msg) from None
        except UnicodeDecodeError:
            msg = f"energy: {path} is neither HDF5 nor text with one energy in GeV per line"
            raise EnergyError(msg) from None
        except CaloforgeError:
            raise
        except ValueError as error:
            msg = f"energy: {path} must hold one energy in GeV per line ({error})"
            raise EnergyError(msg) from None
        return cls("list", _positive(values, text), text, finite=True)


def parse_range(text: str) -> tuple[float, float]:
    """A range of energies as written on the command line.

    Args:
        text: ``"1:100"``, GeV.

    Returns:
        Lowest and highest energy, GeV.

    Raises:
        EnergyError: It is no range of positive, finite energies.

    Examples:
        >>> parse_range("1:100")
        (1.0, 100.0)
    """
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        low = high = 0.0
    if not 0 < low <= high < np.inf:
        msg = (
            f"energy_range: got {text!r}, must be LOW:HIGH with positive, finite energies in GeV, "
            "such as 1:100"
        )
        raise EnergyError(msg)
    return low, high


def _numbers(parts: list[str], text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in parts)
    except ValueError:
        msg = f"energy: cannot read {text!r}; write energies in GeV as {_EXAMPLES}"
        raise EnergyError(msg) from None


def _positive(values: tuple[float, ...], text: str) -> tuple[float, ...]:
    if not values or not all(np.isfinite(value) and value > 0 for value in values):
        msg = f"energy: {text!r} must hold positive, finite energies in GeV ({_EXAMPLES})"
        raise EnergyError(msg)
    return values
