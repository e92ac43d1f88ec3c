"""The two kinds of readout layer: rectangular cells and cylindrical voxels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.errors import DetectorError

__all__ = ["CylindricalLayer", "Layer", "RectangularLayer"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


def _check_edges(what: str, edges: tuple[float, ...]) -> None:
    if len(edges) < 2 or not all(np.isfinite(edges)) or any(b <= a for a, b in pairwise(edges)):
        msg = f"{what}: got {edges}, must be at least two finite numbers in increasing order, mm"
        raise DetectorError(msg)


@dataclass(frozen=True)
class Layer(ABC):
    """One sampling layer of the readout.

    Attributes:
        depth: Where the layer begins and ends along z, mm behind the front face of the stack; None
            where it is not known (CaloChallenge binning files do not say).
    """

    depth: tuple[float, float] | None

    def __post_init__(self) -> None:
        if self.depth is not None:
            _check_edges("depth", self.depth)

    @property
    def z_min(self) -> float:
        """Front of the layer, mm."""
        return self._known_depth[0]

    @property
    def z_max(self) -> float:
        """Back of the layer, mm."""
        return self._known_depth[1]

    @property
    def _known_depth(self) -> tuple[float, float]:
        if self.depth is None:
            msg = "depth: this layer's position along z is not known; give it in the detector file"
            raise DetectorError(msg)
        return self.depth

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Cells along the slow and the fast index of the layer's image."""

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.shape[0] * self.shape[1]

    @property
    @abstractmethod
    def centres(self) -> FloatArray:
        """Centres of the cells in the plane: shape (n_cells, 2), x and y in mm."""

    @property
    @abstractmethod
    def areas(self) -> FloatArray:
        """Areas of the cells: shape (n_cells,), mm^2."""

    @property
    def volumes(self) -> FloatArray:
        """Volumes of the cells: shape (n_cells,), mm^3.

        Raises:
            DetectorError: The depth of the layer is not known.
        """
        return self.areas * (self.z_max - self.z_min)

    @abstractmethod
    def find(self, x: FloatArray, y: FloatArray) -> IndexArray:
        """Index of the cell that holds each point.

        Args:
            x: Shape (M,), mm.
            y: Shape (M,), mm.

        Returns:
            Shape (M,); -1 where a point is outside all cells.
        """

    @abstractmethod
    def mirror(self, axis: str) -> IndexArray | None:
        """The permutation of cells under x -> -x or y -> -y.

        Args:
            axis: ``"x"`` or ``"y"``.

        Returns:
            Shape (n_cells,): cell ``i`` of the mirrored image is cell ``mirror[i]`` of the image.
            None where the layout is not symmetric.
        """

    @abstractmethod
    def neighbours(self) -> IndexArray:
        """Pairs of cells that share an edge: shape (n_pairs, 2), each pair once."""


def _adjacent(index: IndexArray) -> list[IndexArray]:
    """Pairs that are next to each other in a 2D array of cell indices, along both axes."""
    return [
        np.stack([index[:-1].ravel(), index[1:].ravel()], axis=1),
        np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()], axis=1),
    ]


def _bin(edges: FloatArray, values: FloatArray) -> IndexArray:
    """Bin of each value, -1 outside; a value on an edge belongs to the bin above it.

    Where bins are equal this holds up to rounding, which makes it three times as fast.
    """
    n = len(edges) - 1
    pitch = (edges[-1] - edges[0]) / n
    if np.allclose(np.diff(edges), pitch, rtol=1e-9):
        scaled = np.floor((values - edges[0]) * (1.0 / pitch))
        # Compare as floats: converting a huge or infinite one to an integer is undefined.
        inside = (scaled >= 0) & (scaled < n)
        return np.where(inside, scaled, -1).astype(np.intp)
    found = np.searchsorted(edges, values, side="right") - 1
    found[found >= n] = -1
    return found


@dataclass(frozen=True)
class RectangularLayer(Layer):
    """Rectangular cells, in the order of the CaloGAN files: x is the slow index, y the fast one.

    In the words of the CaloGAN paper x is phi and y is eta.

    Attributes:
        x_edges: Edges of the cells along x, mm.
        y_edges: Edges of the cells along y, mm.
    """

    x_edges: tuple[float, ...]
    y_edges: tuple[float, ...]
    kind: ClassVar[str] = "cells"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_edges("x_edges", self.x_edges)
        _check_edges("y_edges", self.y_edges)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along x (slow) and along y (fast)."""
        return len(self.x_edges) - 1, len(self.y_edges) - 1

    @cached_property
    def _edges(self) -> tuple[FloatArray, FloatArray]:
        return np.array(self.x_edges, dtype=np.float64), np.array(self.y_edges, dtype=np.float64)

    @cached_property
    def centres(self) -> FloatArray:
        """Centres of the cells in the plane: shape (n_cells, 2), x and y in mm."""
        x, y = (0.5 * (edges[1:] + edges[:-1]) for edges in self._edges)
        grid = np.meshgrid(x, y, indexing="ij")
        return np.stack([axis.ravel() for axis in grid], axis=1)

    @cached_property
    def areas(self) -> FloatArray:
        """Areas of the cells: shape (n_cells,), mm^2."""
        return np.outer(*(np.diff(edges) for edges in self._edges)).ravel()

    def find(self, x: FloatArray, y: FloatArray) -> IndexArray:
        """Index of the cell that holds each point, -1 outside; see :meth:`Layer.find`."""
        row, column = _bin(self._edges[0], x), _bin(self._edges[1], y)
        return np.where((row >= 0) & (column >= 0), row * self.shape[1] + column, -1)

    def mirror(self, axis: str) -> IndexArray | None:
        """The permutation of cells under x -> -x or y -> -y; see :meth:`Layer.mirror`."""
        edges = self._edges[0 if axis == "x" else 1]
        if not np.allclose(edges, -edges[::-1]):
            return None
        index = np.arange(self.n_cells).reshape(self.shape)
        return np.flip(index, 0 if axis == "x" else 1).ravel()

    def neighbours(self) -> IndexArray:
        """Pairs of cells that share an edge: shape (n_pairs, 2), each pair once."""
        return np.concatenate(_adjacent(np.arange(self.n_cells).reshape(self.shape)))


@dataclass(frozen=True)
class CylindricalLayer(Layer):
    """Voxels around the particle's direction, in the order of the CaloChallenge files.

    The angle alpha is the slow index and the radius r the fast one; alpha runs from 0 to 2 pi,
    counted from the +x axis towards +y.

    Attributes:
        r_edges: Edges of the rings, mm.
        n_alpha: Number of equal bins in alpha.
    """

    r_edges: tuple[float, ...]
    n_alpha: int
    kind: ClassVar[str] = "voxels"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_edges("r_edges", self.r_edges)
        if self.r_edges[0] < 0:
            msg = f"r_edges: got {self.r_edges[0]} mm as the innermost, must not be negative"
            raise DetectorError(msg)
        if self.n_alpha < 1:
            msg = f"n_alpha: got {self.n_alpha}, must be at least 1"
            raise DetectorError(msg)

    @property
    def shape(self) -> tuple[int, int]:
        """Voxels along alpha (slow) and along r (fast)."""
        return self.n_alpha, len(self.r_edges) - 1

    @cached_property
    def _r_edges(self) -> FloatArray:
        return np.array(self.r_edges, dtype=np.float64)

    @cached_property
    def centres(self) -> FloatArray:
        """Centres of the voxels (mid radius, mid angle): shape (n_cells, 2), x and y in mm."""
        r = 0.5 * (self._r_edges[1:] + self._r_edges[:-1])
        alpha = (np.arange(self.n_alpha) + 0.5) * (2 * np.pi / self.n_alpha)
        if self.n_alpha == 1:  # a full ring: its centre is the axis
            return np.zeros((len(r), 2))
        return np.stack(
            [np.outer(np.cos(alpha), r).ravel(), np.outer(np.sin(alpha), r).ravel()], axis=1
        )

    @cached_property
    def areas(self) -> FloatArray:
        """Areas of the voxels: shape (n_cells,), mm^2."""
        ring = np.pi * np.diff(self._r_edges**2) / self.n_alpha
        return np.tile(ring, self.n_alpha)

    def find(self, x: FloatArray, y: FloatArray) -> IndexArray:
        """Index of the voxel that holds each point, -1 outside; see :meth:`Layer.find`."""
        ring = _bin(self._r_edges, np.hypot(x, y))
        if self.n_alpha == 1:
            return ring
        sector = np.floor(np.arctan2(y, x) * (self.n_alpha / (2 * np.pi))).astype(np.intp)
        sector %= self.n_alpha
        return np.where(ring >= 0, sector * self.shape[1] + ring, -1)

    def mirror(self, axis: str) -> IndexArray | None:
        """The permutation of voxels under x -> -x or y -> -y; see :meth:`Layer.mirror`."""
        index = np.arange(self.n_cells).reshape(self.shape)
        sector = np.arange(self.n_alpha)
        if axis == "y":  # alpha -> -alpha
            return index[(-1 - sector) % self.n_alpha].ravel()
        if self.n_alpha % 2 and self.n_alpha > 1:
            return None
        return index[(self.n_alpha // 2 - 1 - sector) % self.n_alpha].ravel()  # pi - alpha

    def neighbours(self) -> IndexArray:
        """Pairs of voxels that share an edge: shape (n_pairs, 2), each pair once."""
        index = np.arange(self.n_cells).reshape(self.shape)
        pairs = _adjacent(index)
        if self.n_alpha > 2:  # the last sector touches the first
            pairs.append(np.stack([index[-1], index[0]], axis=1))
        return np.concatenate(pairs)


def as_edges(values: ArrayLike) -> tuple[float, ...]:
    """Edges as a tuple of floats, so that layers can be compared and hashed."""
    return tuple(float(value) for value in np.asarray(values, dtype=np.float64))
