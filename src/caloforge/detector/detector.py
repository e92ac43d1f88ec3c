"""The detector: an ordered list of readout layers, and the stack of plates behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from caloforge.detector.hits import Hits
from caloforge.detector.layers import CylindricalLayer, Layer, RectangularLayer
from caloforge.detector.stack import Stack
from caloforge.errors import DetectorError

__all__ = ["Detector"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True)
class Detector:
    """What a shower is recorded in.

    A deposit is recorded in cell ``slices[i].start + layers[i].find(x, y)`` of layer ``i``: all
    cells of all layers lie one after the other in one axis of length ``n_cells``.

    Attributes:
        name: Short name.
        layers: The readout; ``layers[0]`` is entered first.
        stack: The plates, for full simulation; None where only the readout is known.
        description: One line for people.
    """

    name: str
    layers: tuple[RectangularLayer | CylindricalLayer, ...]
    stack: Stack | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if not self.layers:
            msg = f"layers: detector {self.name!r} has none, must have at least one"
            raise DetectorError(msg)
        depths = [layer.depth for layer in self.layers]
        known = [depth for depth in depths if depth is not None]
        if known and len(known) < len(depths):
            msg = f"layers: detector {self.name!r} gives the depth of some layers only, give all"
            raise DetectorError(msg)
        for i, (before, after) in enumerate(pairwise(known)):
            if after[0] < before[1]:
                msg = (
                    f"layers[{i + 1}].depth: begins at {after[0]} mm, inside the layer before it, "
                    f"which ends at {before[1]} mm"
                )
                raise DetectorError(msg)

    def __repr__(self) -> str:
        return f"Detector({self.name!r}, {len(self.layers)} layers, {self.n_cells} cells)"

    @property
    def n_layers(self) -> int:
        """Number of readout layers."""
        return len(self.layers)

    @cached_property
    def n_cells(self) -> int:
        """Number of cells of all layers."""
        return sum(layer.n_cells for layer in self.layers)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where the cells of each layer lie along the axis of cells."""
        ends = np.cumsum([layer.n_cells for layer in self.layers]).tolist()
        return tuple(
            slice(end - layer.n_cells, end) for layer, end in zip(self.layers, ends, strict=True)
        )

    @cached_property
    def layer_of_cell(self) -> IndexArray:
        """Index of the layer that each cell belongs to: shape (n_cells,)."""
        return np.repeat(np.arange(self.n_layers), [layer.n_cells for layer in self.layers])

    @property
    def has_depth(self) -> bool:
        """Whether the layers' positions along z are known."""
        return self.layers[0].depth is not None

    @property
    def is_rectangular(self) -> bool:
        """Whether every layer has rectangular cells."""
        return all(isinstance(layer, RectangularLayer) for layer in self.layers)

    @cached_property
    def centres(self) -> FloatArray:
        """Centres of the cells: shape (n_cells, 3), x, y and z in mm; z is NaN where not known."""
        columns = [
            np.column_stack([layer.centres, np.full(layer.n_cells, _middle(layer))])
            for layer in self.layers
        ]
        return np.concatenate(columns)

    @cached_property
    def areas(self) -> FloatArray:
        """Areas of the cells: shape (n_cells,), mm^2."""
        return np.concatenate([layer.areas for layer in self.layers])

    @cached_property
    def volumes(self) -> FloatArray:
        """Volumes of the cells: shape (n_cells,), mm^3.

        Raises:
            DetectorError: The depths of the layers are not known.
        """
        return np.concatenate([layer.volumes for layer in self.layers])

    @cached_property
    def neighbours(self) -> IndexArray:
        """Pairs of cells of one layer that share an edge: shape (n_pairs, 2), each pair once."""
        return np.concatenate(
            [
                part.start + layer.neighbours()
                for layer, part in zip(self.layers, self.slices, strict=True)
            ]
        )

    @cached_property
    def symmetries(self) -> dict[str, IndexArray]:
        """The mirror symmetries of the layout, as permutations of the cells.

        Returns:
            For ``"phi"`` (x -> -x) and ``"eta"`` (y -> -y), where the layout has that symmetry, an
            array of shape (n_cells,): ``deposits[:, permutation]`` are the mirrored showers.
        """
        found = {}
        for name, axis in (("phi", "x"), ("eta", "y")):
            parts = [layer.mirror(axis) for layer in self.layers]
            if all(part is not None for part in parts):
                found[name] = np.concatenate(
                    [where.start + part for where, part in zip(self.slices, parts, strict=True)]
                )
        return found

    def images(self, deposits: NDArray[np.floating]) -> list[NDArray[np.floating]]:
        """The deposits as one image per layer.

        Args:
            deposits: Shape (N, n_cells), MeV.

        Returns:
            Per layer a view of shape ``(N, *layer.shape)``, MeV.
        """
        return [
            deposits[:, part].reshape(len(deposits), *layer.shape)
            for layer, part in zip(self.layers, self.slices, strict=True)
        ]

    def layer_sums(self, deposits: NDArray[np.floating]) -> FloatArray:
        """Energy per layer.

        Args:
            deposits: Shape (N, n_cells), MeV.

        Returns:
            Shape (N, n_layers), MeV, summed in double precision.
        """
        sums = [deposits[:, part].sum(axis=1, dtype=np.float64) for part in self.slices]
        return np.stack(sums, axis=1)

    def digitise(self, hits: Hits, n_showers: int = 1) -> tuple[FloatArray, FloatArray]:
        """Sum deposits into the cells that hold them.

        Args:
            hits: M deposits.
            n_showers: Number of showers N; the deposits are of the showers 0 to N - 1.

        Returns:
            The deposits, shape (N, n_cells), MeV, and the overflow, shape (N, n_layers), MeV: what
            lies within the depth of a layer but beside its cells. What lies outside the depth of
            all layers is in neither.

        Raises:
            DetectorError: The depths of the layers are not known.
        """
        row, energy = hits.shower, hits.energy
        width = self.n_cells + self.n_layers
        # Cells first, then one overflow bin per layer; what is outside the depth is left out.
        column = np.full(len(hits), -1, dtype=np.intp)
        for i, (layer, part) in enumerate(zip(self.layers, self.slices, strict=True)):
            inside = np.flatnonzero((hits.z >= layer.z_min) & (hits.z < layer.z_max))
            cell = layer.find(hits.x[inside], hits.y[inside])
            column[inside] = np.where(cell >= 0, part.start + cell, self.n_cells + i)
        kept = column >= 0
        if not kept.all():
            row, column, energy = row[kept], column[kept], energy[kept]
        sums = np.bincount(row * width + column, weights=energy, minlength=n_showers * width)
        both = np.asarray(sums, dtype=np.float64).reshape(n_showers, width)
        return both[:, : self.n_cells], both[:, self.n_cells :]

    def same_readout(self, other: Detector) -> bool:
        """Whether two detectors have the same layers, whatever their names and stacks.

        Depths are compared where both detectors say them.
        """
        depths = [tuple(layer.depth for layer in each.layers) for each in (self, other)]
        same_depth = not (self.has_depth and other.has_depth) or depths[0] == depths[1]
        return same_depth and _readout(self.layers) == _readout(other.layers)

    def same_stack(self, other: Detector) -> bool:
        """Whether two detectors have the same plates, where both say which they have."""
        return self.stack is None or other.stack is None or self.stack == other.stack


def _readout(layers: Sequence[RectangularLayer | CylindricalLayer]) -> list[tuple[object, ...]]:
    return [
        (layer.x_edges, layer.y_edges)
        if isinstance(layer, RectangularLayer)
        else (layer.r_edges, layer.n_alpha)
        for layer in layers
    ]


def _middle(layer: Layer) -> float:
    return float(np.mean(layer.depth)) if layer.depth is not None else float("nan")
