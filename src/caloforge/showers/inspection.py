"""What a file of showers holds, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.showers.fields import BLOCK, OPTIONAL
from caloforge.showers.opening import Paths
from caloforge.showers.reading import ShowerFile
from caloforge.units import MEV_PER_GEV

__all__ = ["FileReport", "LayerReport", "inspect_file"]

_ABSURD_RESPONSE = 2.0
# The least sampling calorimeters see a hundredth of the energy; a factor of 1000 is far below. Only
# what leaves a mere track may leave as little.
_FAINT_RESPONSE = 0.003
_TRACKS = {"mu-", "mu+"}


@dataclass(frozen=True)
class LayerReport:
    """One layer of a file's showers.

    Attributes:
        shape: Cells along the slow and the fast index.
        fraction: Mean share of the deposited energy.
        occupancy: Mean share of the cells with energy.
        maximum: Largest deposit in a cell, MeV.
    """

    shape: tuple[int, int]
    fraction: float
    occupancy: float
    maximum: float


@dataclass(frozen=True)
class FileReport:
    """What :func:`inspect_file` found.

    Attributes:
        path: The file.
        format: Its format.
        detector: Name of the detector.
        particle: PDG name, empty where the file does not say.
        count: Number of showers.
        energy: Smallest, mean and largest incident energy, GeV.
        response: Mean and the 16%, 50% and 84% quantiles of E_deposited / E_incident.
        layers: The layers.
        overflow: Mean overflow per layer, MeV; empty where the file has none.
        split: Rows of each part, empty where the file is not split.
        problems: What is wrong, one sentence each; empty for a sound file.
    """

    path: str
    format: str
    detector: str
    particle: str
    count: int
    energy: tuple[float, float, float]
    response: tuple[float, float, float, float]
    layers: tuple[LayerReport, ...]
    overflow: tuple[float, ...]
    split: dict[str, int]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """All of it as JSON values."""
        return asdict(self)


def inspect_file(
    path: Paths,
    *,
    detector: str | Path | Detector | None = None,
    particle: str | int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> FileReport:
    """Look through a file of showers.

    Memory is constant but for 16 bytes per shower. Values that are not numbers, infinite or
    negative are counted as problems; in the means deposits that are no numbers or infinite count as
    zero, negative ones as they are, and showers without a positive incident energy are left out.

    Args:
        path: HDF5 file in one of the formats, or several that hold one sample.
        detector: What its showers are recorded in, where the file does not say.
        particle: What its showers are of, where the file does not say.
        progress: Called with the number of showers looked through so far.

    Raises:
        FileFormatError: The file is missing, damaged or not in a known format.
    """
    with ShowerFile(path, detector, particle) as file:
        look = _Look(file.detector)
        for start in range(0, len(file), BLOCK):
            look.add(file.raw(slice(start, start + BLOCK)))
            progress(min(start + BLOCK, len(file)))
        return look.report(file)


class _Look:
    """Sums over the blocks of a file."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.energies: list[NDArray[np.float64]] = []
        self.responses: list[NDArray[np.float64]] = []
        self.fraction = np.zeros(detector.n_layers)
        self.occupied = np.zeros(detector.n_layers)
        self.maximum = np.zeros(detector.n_layers)
        self.overflow = np.zeros(detector.n_layers)
        self.has_overflow = False
        self.good = 0
        self.bad = {"not a number": 0, "infinite": 0, "negative": 0}
        self.empty = 0
        self.negative = 0
        self.lowest = 0.0

    def add(self, arrays: dict[str, NDArray[np.number]]) -> None:
        energy, deposits = arrays["energy"], arrays["deposits"]
        columns = {key: values.reshape(len(energy), -1) for key, values in arrays.items()}
        everything = np.concatenate(list(columns.values()), axis=1)
        signed = {key for key, item in OPTIONAL.items() if item.signed}
        unsigned = [values for key, values in columns.items() if key not in signed]
        marks = {
            "not a number": np.isnan(everything).any(axis=1),
            "infinite": np.isinf(everything).any(axis=1),
            "negative": (np.concatenate(unsigned, axis=1) < 0).any(axis=1) | (energy <= 0),
        }
        for kind, rows in marks.items():
            self.bad[kind] += int(rows.sum())
        self.negative += int((deposits < 0).sum())
        good = np.isfinite(energy) & (energy > 0)
        energy, deposits = energy[good].astype(np.float64), _finite(deposits[good])
        self.lowest = min(self.lowest, float(deposits.min(initial=0)))
        layers = self.detector.layer_sums(deposits)
        total = layers.sum(axis=1)
        self.good += len(energy)
        self.empty += int((total == 0).sum())
        self.energies.append(np.asarray(energy, np.float64))
        self.responses.append(np.asarray(total / (MEV_PER_GEV * energy), np.float64))
        full = total > 0
        self.fraction += (layers[full] / total[full, None]).sum(axis=0)
        starts = [part.start for part in self.detector.slices]
        self.occupied += np.add.reduceat((deposits > 0).sum(axis=0), starts)
        if len(deposits):
            peak = np.maximum.reduceat(deposits.max(axis=0), starts)
            self.maximum = np.maximum(self.maximum, peak)
        if "overflow" in arrays:
            self.has_overflow = True
            self.overflow += _finite(arrays["overflow"][good]).sum(axis=0)

    def report(self, file: ShowerFile) -> FileReport:
        energy, response = np.concatenate(self.energies or [np.empty(0)]), np.empty(0)
        if self.responses:
            response = np.concatenate(self.responses)
        n = max(1, self.good)
        cells = np.array([layer.n_cells for layer in self.detector.layers])
        layers = tuple(
            LayerReport(layer.shape, float(fraction), float(occupancy), float(maximum))
            for layer, fraction, occupancy, maximum in zip(
                self.detector.layers,
                self.fraction / n,
                self.occupied / n / cells,
                self.maximum,
                strict=True,
            )
        )
        return FileReport(
            path=str(file.path),
            format=file.format.name,
            detector=self.detector.name,
            particle=file.particle,
            count=len(file),
            energy=_three(energy),
            response=_four(response),
            layers=layers,
            overflow=tuple((self.overflow / n).tolist()) if self.has_overflow else (),
            split=file.split_counts,
            problems=tuple(self._problems(file, energy, response)),
        )

    def _problems(
        self, file: ShowerFile, energy: NDArray[np.float64], response: NDArray[np.float64]
    ) -> list[str]:
        found = [f"{n} showers have values that are {kind}" for kind, n in self.bad.items() if n]
        if self.negative:
            share = self.negative / max(1, len(file) * self.detector.n_cells)
            found.append(
                f"{share:.2g} of the deposits are negative, down to {self.lowest:.3g} MeV: "
                "'caloforge data convert --clip' sets them to zero"
            )
        if not len(file):
            found.append("there are no showers")
        if self.empty:
            found.append(f"{self.empty} showers have no energy at all")
        units = f"are deposits in MeV and incident energies in {_unit(file)}?"
        absurd = int((response > _ABSURD_RESPONSE).sum())
        if absurd:
            found.append(
                f"{absurd} showers have over {_ABSURD_RESPONSE:g} times their incident energy: "
                f"{units}"
            )
        middle = float(np.median(response)) if len(response) else 1.0
        if 0 < middle < _FAINT_RESPONSE and file.particle not in _TRACKS:
            found.append(
                f"half of the showers have less than {middle:.2g} of their incident energy, far "
                f"less than any calorimeter sees: {units}"
            )
        order = np.lexsort((energy, response))
        twins = int(
            (
                (np.diff(response[order]) == 0)
                & (np.diff(energy[order]) == 0)
                & (response[order][1:] != 0)
            ).sum()
        )
        if twins:
            found.append(f"{twins} showers are copies of another")
        if not file.particle:
            found.append("the file does not say which particle it is")
        return found


def _unit(file: ShowerFile) -> str:
    return "GeV" if file.format.energy_in_gev == 1 else "MeV"


def _finite(values: NDArray[np.number]) -> NDArray[np.floating]:
    """The same with zeros in place of what is no number or infinite."""
    found: NDArray[np.floating] = np.where(np.isfinite(values), values, 0)
    return found


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    if not len(values):
        return (0.0, 0.0, 0.0)
    return float(values.min()), float(values.mean()), float(values.max())


def _four(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    if not len(values):
        return (0.0, 0.0, 0.0, 0.0)
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    return float(values.mean()), float(low), float(middle), float(high)
