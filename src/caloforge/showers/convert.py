"""From one readout to another: voxels to cells, and back as well as can be.

Each cell's energy is spread evenly over its area and depth and summed into the cells of the other
readout. Energy is conserved: what falls beside the other's cells is its overflow.

From fine voxels to coarse cells this is what the FastCaloGAN of ATLAS does with its voxels. The
other way, and wherever a cell is larger than the structure inside it, detail that the first
readout did not record is not recovered: the CaloGAN cells of layer 0 are 160 mm long, so voxels
made from them show a band and not a core. Train and judge on the readout that you need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.atomic import check_new, replacing
from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.errors import DetectorError, ShowersError
from caloforge.showers.container import Showers
from caloforge.showers.fields import BLOCK, FormatName
from caloforge.showers.reading import ShowerFile
from caloforge.showers.writing import ShowerSink

__all__ = ["convert", "convert_file", "spread_matrix"]

POINTS = 400
"""Points per cell: enough for the shares of the shipped readouts to be right to about 1%."""

FloatArray = NDArray[np.float64]


def convert(showers: Showers, detector: Detector, *, points: int = POINTS) -> Showers:
    """The same showers in another readout.

    Args:
        showers: What to convert.
        detector: The other readout, of the same stack.
        points: Points per cell that stand for its area; rounded up to a square number.

    Returns:
        The showers in ``detector``; deposits and overflow sum to the deposits of ``showers``
        wherever the depths of ``detector`` cover those of the other readout. The overflow that
        ``showers`` have is dropped: nobody knows where it was.

    Raises:
        DetectorError: The depths of a readout's layers are not known.
        ShowersError: ``points`` is not positive, or showers that do not fly along the axis are to
            be converted from voxels to cells or back.
    """
    return _apply(showers, detector, spread_matrix(showers.detector, detector, points=points))


def convert_file(
    source: str | Path,
    target: str | Path,
    *,
    detector: Detector | None = None,
    source_detector: str | Path | Detector | None = None,
    format: FormatName | None = None,  # noqa: A002
    points: int = POINTS,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Convert a file to another format, another readout, or both, in constant memory.

    Args:
        source: File to read.
        target: File to make.
        detector: The other readout; None to keep the one that it has.
        source_detector: What the showers of ``source`` are recorded in, where it does not say.
        format: Format of the new file; None for the usual one of its detector.
        points: See :func:`convert`.
        overwrite: Replace a file that is there.
        progress: Called with the number of showers converted so far.

    Returns:
        The new file.

    Raises:
        CaloforgeError: A file or an argument is wrong.
    """
    target = Path(target)
    check_new(target, overwrite=overwrite)
    with ShowerFile(source, source_detector) as file:
        same = detector is None or detector.same_readout(file.detector)
        matrix = None
        if detector is not None and not same:
            matrix = spread_matrix(file.detector, detector, points=points)
        with replacing(target) as beside, ShowerSink(beside, format=format) as sink:
            done = 0
            for showers in file.blocks(BLOCK):
                if detector is not None and matrix is not None:
                    sink.append(_apply(showers, detector, matrix))
                else:
                    sink.append(
                        showers if detector is None else replace(showers, detector=detector)
                    )
                done += len(showers)
                progress(done)
            if file.split is not None:
                sink.write_split(file.split)
    return target


def spread_matrix(source: Detector, target: Detector, *, points: int = POINTS) -> FloatArray:
    """The share of each cell of one readout that lies in each cell of another.

    Args:
        source: The one readout.
        target: The other readout.
        points: Points per cell that stand for its area; rounded up to a square number.

    Returns:
        Shape (source.n_cells, target.n_cells + target.n_layers): columns are the cells, then the
        overflow of each layer. A row sums to the share of the cell's depth that ``target`` covers.

    Raises:
        DetectorError: The depths of a readout's layers are not known.
        ShowersError: ``points`` is not positive.
    """
    if points < 1:
        msg = f"points: got {points}, must be at least 1"
        raise ShowersError(msg)
    for detector in (source, target):
        if not detector.has_depth:
            msg = (
                f"detector: the depths of the layers of {detector.name!r} are not known, "
                "so it cannot be converted; give them in a detector file"
            )
            raise DetectorError(msg)
    side = int(np.ceil(np.sqrt(points)))
    matrix = np.zeros((source.n_cells, target.n_cells + target.n_layers))
    for layer, part in zip(source.layers, source.slices, strict=True):
        x, y = _points(layer, side)
        row = np.repeat(np.arange(part.start, part.stop), side * side)
        for j, (other, where) in enumerate(zip(target.layers, target.slices, strict=True)):
            overlap = min(layer.z_max, other.z_max) - max(layer.z_min, other.z_min)
            if overlap > 0:
                cell = other.find(x, y)
                column = np.where(cell >= 0, where.start + cell, target.n_cells + j)
                share = overlap / (layer.z_max - layer.z_min) / (side * side)
                np.add.at(matrix, (row, column), share)
    return matrix


def _require_on_axis(showers: Showers, detector: Detector) -> None:
    """Voxels are around the line of flight, cells are not: off the axis they do not match.

    Raises:
        ShowersError: Showers off the axis are to be converted from one kind to the other.
    """
    kinds = {type(layer) for part in (showers.detector, detector) for layer in part.layers}
    points, directions = showers.entry_point, showers.direction
    moved = points is not None and points.any()
    tilted = directions is not None and directions[:, :2].any()
    if len(kinds) > 1 and (moved or tilted):
        msg = (
            f"showers: some do not fly along the axis, so {showers.detector.name!r} "
            f"cannot be converted to {detector.name!r}; simulate them with both readouts"
        )
        raise ShowersError(msg)


def _apply(showers: Showers, detector: Detector, matrix: FloatArray) -> Showers:
    _require_on_axis(showers, detector)
    both = showers.deposits.astype(np.float64) @ matrix
    deposits, overflow = both[:, : detector.n_cells], both[:, detector.n_cells :]
    return replace(
        showers, detector=detector, deposits=deposits.astype(np.float32), overflow=overflow
    )


def _points(layer: RectangularLayer | CylindricalLayer, side: int) -> tuple[FloatArray, FloatArray]:
    """Points that stand for equal areas: x and y in mm, ``side**2`` for each cell in order."""
    middle = (np.arange(side) + 0.5) / side
    if isinstance(layer, RectangularLayer):
        x, y = (_between(np.asarray(edges), middle) for edges in (layer.x_edges, layer.y_edges))
        shape = (len(x), len(y), side, side)
        x = np.broadcast_to(x[:, None, :, None], shape)
        y = np.broadcast_to(y[None, :, None, :], shape)
    else:
        r = np.sqrt(_between(np.asarray(layer.r_edges) ** 2, middle))
        alpha = _between(np.linspace(0, 2 * np.pi, layer.n_alpha + 1), middle)
        radius, angle = r[None, :, None, :], alpha[:, None, :, None]
        x, y = radius * np.cos(angle), radius * np.sin(angle)
    return x.ravel(), y.ravel()


def _between(edges: FloatArray, at: FloatArray) -> FloatArray:
    """Points within each bin: shape (n_bins, len(at))."""
    points: FloatArray = edges[:-1, None] + np.diff(edges)[:, None] * at
    return points
