"""Showers in memory."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import DetectorError, ShowersError
from caloforge.showers.fields import OPTIONAL
from caloforge.units import MEV_PER_GEV

__all__ = ["Showers"]

FloatArray = NDArray[np.float64]
_SHOWN_LAYERS = 6


@dataclass(frozen=True, eq=False)
class Showers:
    """The deposits of N showers of one kind of particle in one detector.

    Attributes:
        detector: What the showers are recorded in.
        energy: Incident energy (kinetic): shape (N,), GeV.
        deposits: Energy left in each cell: shape (N, n_cells), float32, MeV.
        particle: PDG name of the particle, empty where it is not known.
        overflow: Energy within the depth of a layer but beside its cells: shape (N, n_layers), MeV.
        entry_point: Where the particle enters the front face: shape (N, 2), x and y in mm.
        direction: Where the particle flies to: shape (N, 3), unit vectors.
        leakage: Energy that left the stack: shape (N,), MeV.
        event: Which event of a run each shower belongs to, where events have any number of them:
            shape (N,), int64.
        seed: Seed of the run that they are all the showers of; None where it is not known. It is
            not written to files: what made them is there.

    Raises:
        ShowersError: Shapes do not fit together, an energy is not positive, or a value is negative,
            infinite or not a number.
    """

    detector: Detector
    energy: FloatArray
    deposits: NDArray[np.float32]
    particle: str = ""
    overflow: FloatArray | None = None
    entry_point: FloatArray | None = None
    direction: FloatArray | None = None
    leakage: FloatArray | None = None
    event: NDArray[np.int64] | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        energy = np.asarray(self.energy, dtype=np.float64)
        n = energy.size
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            deposits = np.asarray(self.deposits, dtype=np.float32)
        self._set("energy", energy, (n,))
        self._set("deposits", deposits, (n, self.detector.n_cells))
        for name, item in OPTIONAL.items():
            value = getattr(self, name)
            if value is not None:
                shape = (n, *item.shape(self.detector))
                self._set(name, np.asarray(value, dtype=item.memory), shape, signed=item.signed)
        if n and self.energy.min() <= 0:
            worst = int(self.energy.argmin())
            msg = f"energy: shower {worst} has {self.energy[worst]} GeV, must be positive"
            raise ShowersError(msg)

    def _set(
        self,
        name: str,
        value: NDArray[np.number],
        shape: tuple[int, ...],
        *,
        signed: bool = False,
    ) -> None:
        if value.shape != shape:
            msg = f"{name}: has shape {value.shape}, must be {shape} for {self.detector.name!r}"
            raise ShowersError(msg)
        # The smallest and largest value say it all: both are NaN if any value is.
        if value.size and not (
            np.isfinite(value.max()) and np.isfinite(value.min()) and (signed or value.min() >= 0)
        ):
            bad = ~np.isfinite(value) if signed else ~(np.isfinite(value) & (value >= 0))
            where = np.argwhere(bad)[0]
            kind = "finite" if signed else "finite and not negative"
            msg = (
                f"{name}: shower {where[0]} has the value {value[tuple(where)]} "
                f"({int(bad.any(axis=tuple(range(1, value.ndim))).sum())} of {len(value)} showers "
                f"are affected), must be {kind}"
            )
            raise ShowersError(msg)
        object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.energy)

    def __repr__(self) -> str:
        if not len(self):
            return f"Showers(none, {self.detector.name!r})"
        span = f"{self.energy.min():.4g}-{self.energy.max():.4g} GeV"
        return f"Showers({len(self)} {self.particle or 'showers'}, {span}, {self.detector.name!r})"

    def __iter__(self) -> Iterator[Showers]:
        """One shower after the other, each as showers of length 1."""
        return (self[i] for i in range(len(self)))

    def __getitem__(
        self, rows: int | np.integer | slice | NDArray[np.bool_] | NDArray[np.integer]
    ) -> Showers:
        """The chosen showers.

        Args:
            rows: A slice, a mask of shape (N,), or indices of shape (M,); with one index these are
                showers of length 1.

        Raises:
            IndexError: There is no shower of that index.
        """
        if isinstance(rows, int | np.integer):
            if not -len(self) <= rows < len(self):
                msg = f"rows: got {rows}, must be an index of {len(self)} showers"
                raise IndexError(msg)
            first = int(rows) % len(self)
            rows = slice(first, first + 1)
        optional = {
            name: value[rows] for name in OPTIONAL if (value := getattr(self, name)) is not None
        }
        return Showers(
            self.detector, self.energy[rows], self.deposits[rows], self.particle, **optional
        )

    def _repr_html_(self) -> str:
        """A small table, for notebooks."""
        rows = [("detector", f"{self.detector.name}, {self.detector.n_cells:,} cells")]
        if len(self):
            low, high = self.energy.min(), self.energy.max()
            response, fractions = self.response.mean(), self.layer_fractions.mean(axis=0)
            rows += [
                ("incident energy", f"{low:.4g} to {high:.4g} GeV"),
                ("mean response", f"{response:.4f}"),
                *(
                    (f"mean fraction of layer {i}", f"{value:.4f}")
                    for i, value in enumerate(fractions[:_SHOWN_LAYERS])
                ),
            ]
        rows += [
            ("also has", ", ".join(name for name in OPTIONAL if getattr(self, name) is not None))
        ]
        rows += [("seed", "" if self.seed is None else str(self.seed))]
        cells = "".join(
            f"<tr><th style='text-align:left'>{name}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in rows
            if text
        )
        title = html.escape(f"{len(self):,} {self.particle} showers".replace("  ", " "))
        return f"<table><caption><b>{title}</b></caption>{cells}</table>"

    @property
    def images(self) -> list[NDArray[np.float32]]:
        """Per layer the deposits as images: shape ``(N, *layer.shape)``, MeV."""
        return self.detector.images(self.deposits)

    @property
    def layer_energies(self) -> FloatArray:
        """Energy per layer: shape (N, n_layers), MeV."""
        return self.detector.layer_sums(self.deposits)

    @property
    def total_energy(self) -> FloatArray:
        """Energy in all cells: shape (N,), MeV."""
        total: FloatArray = self.layer_energies.sum(axis=1)
        return total

    @property
    def response(self) -> FloatArray:
        """Deposited over incident energy: shape (N,)."""
        response: FloatArray = self.total_energy / (MEV_PER_GEV * self.energy)
        return response

    @property
    def layer_fractions(self) -> FloatArray:
        """Share of each layer in the deposited energy: shape (N, n_layers), 0 in empty showers."""
        layers = self.layer_energies
        total = layers.sum(axis=1, keepdims=True)
        fractions: FloatArray = np.divide(layers, total, out=np.zeros_like(layers), where=total > 0)
        return fractions

    def restricted(self, detector: Detector) -> Showers:
        """The same showers in some of the layers alone.

        Args:
            detector: Has layers of this detector, and no others.

        Raises:
            DetectorError: It has a layer that this detector does not have.
        """
        if self.detector.same_readout(detector):
            return self
        have = self.detector.layers
        strangers = [layer for layer in detector.layers if layer not in have]
        if strangers:
            msg = f"detector: showers in {self.detector.name!r} are not in {detector.name!r}"
            raise DetectorError(msg)
        chosen = [have.index(layer) for layer in detector.layers]
        cells = np.concatenate([np.r_[self.detector.slices[i]] for i in chosen])
        overflow = None if self.overflow is None else self.overflow[:, chosen]
        return replace(self, detector=detector, deposits=self.deposits[:, cells], overflow=overflow)

    @staticmethod
    def concatenate(parts: Sequence[Showers]) -> Showers:
        """All showers of several samples, one after the other.

        What only some of the samples have (overflow, entry points, ...) is dropped.

        Raises:
            ShowersError: There are no samples, or they are of different detectors or particles.
        """
        if not parts:
            msg = "parts: got no samples to concatenate, must be at least one"
            raise ShowersError(msg)
        first = parts[0]
        if len(parts) == 1:
            return first
        for part in parts[1:]:
            if not part.detector.same_readout(first.detector) or part.particle != first.particle:
                msg = f"parts: {part!r} and {first!r} cannot be in one sample"
                raise ShowersError(msg)
        optional: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in OPTIONAL
            if all(getattr(part, name) is not None for part in parts)
        }
        return Showers(
            first.detector,
            np.concatenate([part.energy for part in parts]),
            np.concatenate([part.deposits for part in parts]),
            first.particle,
            **optional,
        )
